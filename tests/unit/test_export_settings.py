"""What the settings of exports refuse before anything is done."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from runbook.hosts import Host
from runbook.platform.settings import InstallationFiles, PlatformExports, Repository


@pytest.mark.parametrize(
    "url",
    [
        "https://x-token@git.example.test/shop.git",
        "HTTP://bob:hunter2@git.example.test/shop.git",
        "ssh://git:hunter2@git.example.test/shop.git",
    ],
)
def test_a_url_that_would_show_who_logs_in_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="user or password"):
        Repository(url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.test/shop@2.git",
        "git@git.example.test:shop.git",
        "ssh://git@git.example.test/shop.git",
        "/srv/policy.git",
    ],
)
def test_other_urls_are_taken(url: str) -> None:
    assert Repository(url=url).url == url


def test_a_file_is_kept_by_a_name_without_a_leading_dot() -> None:
    host = Host(name="worker")
    assert InstallationFiles(host=host, files=("/etc/.terraform/main.tf", "/a.tf"))
    for path in ("/etc/.env", "/.env", "/etc/..", "/etc/"):
        with pytest.raises(ValidationError, match="pattern"):
            InstallationFiles(host=host, files=(path,))


def test_a_refusal_is_told_by_an_expression_that_can_be_used() -> None:
    where = {"client": Host(name="worker"), "directory": "/way", "store": "s"}
    assert PlatformExports(**where, refusal="layers|nope")
    for refusal in ("", "multi(layer"):
        with pytest.raises(ValidationError, match="refusal"):
            PlatformExports(**where, refusal=refusal)
