"""A folder in a repository: only what came whole is committed, and only over what is ours."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from runbook.errors import CommandFailed, Refused
from runbook.platform.documents import packed
from runbook.platform.settings import Repository
from runbook.platform.versions import InRepository
from runbook.tools import git

FIRST = {"auth": b"on auth::/ { }\n", "jobs": b"on job::/ { }\n"}


@pytest.fixture
def place(tmp_path: Path) -> InRepository:
    """Give a folder in an empty repository."""
    bare = tmp_path / "policy.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True)
    return InRepository(Repository(url=str(bare)), "shop/policy", ".pol")


def by_hand(place: InRepository, **files: str) -> None:
    """Commit files of the folder as a person does; an empty one goes."""
    clone = Path(place.repository.url).with_name("clone")
    who = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
    words = ["git", "-C", str(clone), *who]
    subprocess.run(["git", "clone", "-q", place.repository.url, clone], check=True)
    (clone / place.folder).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = clone / place.folder / name.replace("__", ".")
        path.write_text(text) if text else path.unlink()
    for line in (["add", "-A"], ["commit", "-qm", "by hand"], ["push", "-q", "origin", "main"]):
        subprocess.run([*words, *line], check=True)
    subprocess.run(["rm", "-rf", clone], check=True)


def names(place: InRepository) -> list[str]:
    argv = ["git", "-C", place.repository.url, "ls-tree", "-r", "--name-only", "main"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_what_came_only_in_part_is_not_committed(place: InRepository) -> None:
    place.keep(FIRST, "first", "run")
    before = place.version("latest")
    noise = {"other": os.urandom(300_000), "jobs": b"x"}
    change = git.Change(packed(noise, ".pol"), ("auth.pol",), before.id, "cut\n\nRun: run")
    where = place.repository
    whole = git.commit(where.url, where.branch, place.folder, change, user="")
    for cut in (0, 1 << 10, 1 << 16, len(whole.stdin) - 80):
        with pytest.raises(CommandFailed, match=r"exit code [14]"):
            where.host.run(replace(whole, stdin=whole.stdin[:cut]))
    assert place.version("latest") == before
    where.host.run(whole)
    assert place.version("latest").documents == noise


def test_a_newer_edit_by_a_person_is_not_taken_back(place: InRepository) -> None:
    place.keep(FIRST, "first", "run")
    by_hand(place, jobs__pol="on job::/ { by hand }\n")
    newest = place.version("latest")
    assert newest.foreign == {"jobs"}
    with pytest.raises(Refused, match="take back") as told:
        place.keep({**FIRST, "auth": b"another\n"}, "second", "run")
    assert "policy-import" in told.value.hint
    assert place.version("latest") == newest
    same = {**FIRST, "jobs": b"on job::/ { by hand }\n", "auth": b"another\n"}
    place.keep(same, "third", "run")
    assert place.version("latest").ours(same) == same
    by_hand(place, jobs__pol="")
    place.keep(FIRST, "fourth", "run")
    assert place.version("latest").foreign == frozenset()


def test_files_that_only_people_keep_there_stay(place: InRepository) -> None:
    place.keep(FIRST, "first", "run")
    by_hand(place, own__pol="on job::/own { }\n", NOTES="text\n", __hidden="x\n", a__b="x\n")
    only = {"auth": FIRST["auth"]}
    place.keep(only, "second", "run")
    found = place.version("latest")
    assert found.ours(only) == only
    assert found.documents == {**only, "own": b"on job::/own { }\n"}
    folder = "shop/policy"
    assert names(place) == [
        f"{folder}/{name}" for name in (".hidden", "NOTES", "a.b", "auth.pol", "own.pol")
    ]


def test_a_commit_upon_another_than_was_looked_at_is_refused(place: InRepository) -> None:
    place.keep(FIRST, "first", "run")
    old = place.version("latest").id
    place.keep({"auth": b"another\n"}, "second", "run")
    change = git.Change(packed(FIRST, ".pol"), (), old, "late\n\nRun: run")
    where = place.repository
    with pytest.raises(CommandFailed, match="exit code 5"):
        where.host.run(git.commit(where.url, where.branch, place.folder, change, user=""))
