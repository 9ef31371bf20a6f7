"""Two application hosts for each module of tests, put right after each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.repoint.scene import ENV, ENV_NAME, SECRET, Site
from tests.lab import processes
from tests.lab.loopback import LoopbackLab


@pytest.fixture
def site(
    request: pytest.FixtureRequest, loopback_lab: LoopbackLab, tmp_path: Path
) -> Iterator[Site]:
    name = request.module.__name__.removeprefix("test_").replace("_", "")
    hosts = [loopback_lab.host(name + letter) for letter in "ab"]
    site = Site(hosts, tmp_path)
    site.write()
    site.write(ENV_NAME, ENV)
    yield site
    for number, host in enumerate(hosts):
        while is_mounted(site.folder(number)):
            processes.run(["umount", "-l", site.folder(number)])
        shutil.rmtree(site.folder(number))
        host.start_ssh()
    assert SECRET not in site.records()


def is_mounted(folder: Path) -> bool:
    """Tell whether a folder is a mount, be it of itself, which `ismount` does not see."""
    return f" {folder} " in Path("/proc/self/mounts").read_text()
