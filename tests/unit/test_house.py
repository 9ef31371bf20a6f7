"""The house: imports run one way, names do not clash, dependencies have their reasons."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("blocks", "deployments", "flows", "runbook", "tasks")


def test_imports_run_one_way() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_no_module_of_ours_hides_one_of_the_standard_library_in_flows() -> None:
    names = {path.stem for path in (ROOT / "flows").rglob("*.py")} - {"__init__"}
    assert not names & set(sys.stdlib_module_names)


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_a_drawer_for_everything(package: str) -> None:
    drawers = {"utils", "helpers", "common", "manager", "handler", "misc"}
    assert not drawers & {path.stem for path in (ROOT / package).rglob("*.py")}


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *itertools.chain.from_iterable(extras)]
    explained = set(re.findall(r'^    "([^"]+)", +# \S', text, flags=re.MULTILINE))
    obvious = {line for line in wanted if line.startswith(("pytest>=", "ruff", "mypy", "embedded"))}
    assert set(wanted) - explained - obvious == set()


def test_the_lock_file_pins_everything_with_hashes_and_names_no_host() -> None:
    text = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^([a-z0-9_.\[\]-]+)==(\S+) \\$", text, flags=re.MULTILINE)
    assert len(pins) > 80
    blocks = re.split(r"^(?=[a-z0-9_.\[\]-]+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    versions = dict(pins)
    assert versions["prefect"].startswith("3.8.")
    assert versions["sqlalchemy"].startswith("2.0.")
    assert tuple(map(int, versions["fastapi"].split(".")[:2])) < (0, 151)
