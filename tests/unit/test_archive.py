"""An archive that was cut anywhere, or is another's, is told from a whole one."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from runbook.errors import Damaged
from runbook.platform.archive import Thing, examined, examined_all

THING = Thing("package", "/apcera/pkg", "go-1.5.1")


def made(kind: str, full: str = str(THING), mtime: int = 0) -> bytes:
    """Make an archive with a manifest and a layer."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=kind) as tar:  # type: ignore[call-overload]
        for name, text in {"manifest.json": full.encode(), "layer": bytes(range(256)) * 9}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(text), mtime
            tar.addfile(member, io.BytesIO(text))
    return file.getvalue()


def everything(members: dict[str, str]) -> bytes:
    """Make an archive of small files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return file.getvalue()


def pieces(content: bytes, size: int = 100) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


@pytest.mark.parametrize("kind", ["w", "w:gz"])
def test_every_cut_is_found(kind: str) -> None:
    whole = made(kind)
    assert examined(pieces(whole), THING).size == len(whole)
    ends = range(0, len(whole), 37) if kind == "w:gz" else range(0, len(whole) - 8191, 256)
    for end in ends:
        with pytest.raises(Damaged):
            examined(pieces(whole[:end]), THING)


def test_an_archive_of_something_else_is_found() -> None:
    with pytest.raises(Damaged) as told:
        examined(pieces(made("w", "package::/apcera/pkg::ruby")), THING)
    assert "nothing of the name" in told.value.detail


def test_the_content_is_the_same_at_another_time_and_in_another_namespace() -> None:
    other = Thing("package", "/acme", "go-1.5.1")
    first, second = (
        examined(pieces(made("w:gz", str(thing), mtime)), thing)
        for thing, mtime in ((THING, 1), (other, 2))
    )
    assert first.content == second.content
    assert first.sha256 != second.sha256


def test_one_of_another_namespace_is_told_where_the_archive_names_it() -> None:
    with pytest.raises(Damaged, match="not whole") as told:
        examined(pieces(made("w:gz", "package::/acme::go-1.5.1")), THING)
    assert "of the namespace /acme" in told.value.detail
    both = f"uses package::/acme::go-1.5.1, is {THING}"
    assert examined(pieces(made("w", both)), THING)
    assert examined(pieces(made("w", "name: go-1.5.1")), THING)


@pytest.mark.parametrize("damage", [bytes(512), bytes(range(256)) * 2], ids=["zeros", "noise"])
def test_a_second_member_that_cannot_be_read_is_no_end(damage: bytes) -> None:
    whole = made("w")
    with pytest.raises(Damaged, match="not whole"):
        examined(pieces(whole[:1024] + damage + whole[1536:]), THING)


def test_an_archive_of_everything_is_whole_and_has_all_that_is_wanted() -> None:
    whole = made("w:gz")
    assert examined_all(pieces(whole), [THING]) == examined_all(pieces(whole), [])
    assert examined_all(pieces(whole), []).size == len(whole)
    for end in range(0, len(whole), 37):
        with pytest.raises(Damaged):
            examined_all(pieces(whole[:end]), [])
    with pytest.raises(Damaged, match="not whole") as told:
        examined_all(pieces(whole), [THING, Thing("job", "/acme", "shop")])
    assert "job::/acme::shop" in told.value.detail


def test_an_archive_of_nothing_is_no_archive_of_everything() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w"):
        pass
    with pytest.raises(Damaged) as told:
        examined_all(pieces(file.getvalue()), [])
    assert "it holds nothing" in told.value.detail


GO, GUIDE = Thing("package", "/apcera/pkg", "go"), Thing("job", "/apcera", "guide")


@pytest.mark.parametrize(
    "members",
    [
        {"m": '{"fqn":"package::/evil/ns::golang-guide-2"}'},
        {"m": "package::/evil::go job::/evil::guide"},
        {"m": "job::/apcera/pkg::go package::/apcera::guide"},
        {"m": "package::/apcera/pkg::golang job::/apcera::guide-2"},
        {"m": "package::/apcera/pkg/go::x job::/apcera/guide::x"},
        {"m": "xpackage::/apcera/pkg::go my-job::/apcera::guide"},
        {"m": "the golang guides", "go.1/x": "", "guide-2": ""},
        {"m": "package::/evil::x job::/evil::x, go and guide", "go": "", "guide.cntmp": ""},
    ],
    ids=[
        *("both", "other namespaces", "other kinds", "substrings", "namespaces of that name"),
        *("longer kinds", "parts of words", "by name alone beside full names"),
    ],
)
def test_what_only_looks_like_a_wanted_thing_is_none(members: dict[str, str]) -> None:
    with pytest.raises(Damaged) as told:
        examined_all(pieces(everything(members)), [GUIDE, GO])
    assert told.value.detail == f"it holds nothing of the name of {GUIDE}, {GO}"


@pytest.mark.parametrize(
    "members",
    [
        {"m": f'{{"fqn":"{GO}"}}', "n": f"[{GUIDE}]"},
        {"m": f"{GO}, {GUIDE}, package::/evil::go"},
        {f"x/{GO}": "", f"{GUIDE}.cntmp": ""},
        {"m": "name: go", "n": '"guide"'},
        {"package/go/layer": "", "job/guide.cntmp": ""},
        {"m": f"{GO}", "job/guide/layer": ""},
    ],
    ids=["full", "others, too", "paths", "by name alone", "by path alone", "jobs by path alone"],
)
def test_a_wanted_thing_is_known_by_its_full_name_or_where_none_is_by_its_name(
    members: dict[str, str],
) -> None:
    assert examined_all(pieces(everything(members)), [GUIDE, GO])


def test_every_wanted_thing_of_a_name_needs_a_full_name_of_its_own() -> None:
    both = [GO, Thing("package", "/acme", "go")]
    with pytest.raises(Damaged) as told:
        examined_all(pieces(everything({"m": str(GO)})), both)
    assert told.value.detail == "it holds nothing of the name of package::/acme::go"
