"""The tar reader: whatever tarfile can write is read; what is unsafe or cut is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import Damaged, Refused
from runbook.stream.tar import TarReader
from runbook.stream.tar_header import Kind, Member


class Seen:
    """Collects what a reader says."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.contents: list[bytes] = []
        self.ended = 0

    def member(self, member: Member) -> None:
        self.members.append(member)
        self.contents.append(b"")

    def data(self, data: bytes) -> None:
        self.contents[-1] += data

    def end(self) -> None:
        self.ended += 1


def read(raw: bytes, step: int = 1 << 20) -> Seen:
    seen = Seen()
    reader = TarReader("base.tar", seen)
    for at in range(0, len(raw), step):
        reader.feed(raw[at : at + step])
    reader.finish()
    return seen


def write(infos: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, content in infos:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


parts = st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="/"))
names = st.lists(parts.filter(lambda p: p.strip(".")), min_size=1, max_size=6).map("/".join)
trees = st.dictionaries(names, st.binary(max_size=1500), max_size=6).filter(
    lambda tree: (
        not any(str(parent) in tree for name in tree for parent in PurePosixPath(name).parents)
    )
)


@settings(max_examples=150, deadline=None)
@given(
    trees,
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.integers(1, 5000),
    st.integers(0, 3),
)
def test_any_archive_of_tarfile_is_read_whole(
    tree: dict[str, bytes], form: int, step: int, longer: int
) -> None:
    tree = {f"{'long/' * 40 * longer}{name}": data for name, data in tree.items()}
    seen = read(write([(entry(name), data) for name, data in tree.items()], form), step)
    assert dict(zip((m.name for m in seen.members), seen.contents, strict=True)) == tree
    assert seen.ended == len(tree)


def test_every_cut_of_an_archive_is_noticed() -> None:
    raw = write([(entry("a"), b"x" * 700), (entry("b"), b""), (entry("c" * 120), b"y")])
    whole = len(raw.rstrip(b"\0"))
    end = -(-whole // 512) * 512 + 1024
    assert len(read(raw[:end]).members) == 3
    for cut in range(end):
        with pytest.raises(Damaged):
            read(raw[:cut])


def test_every_changed_byte_of_a_header_is_noticed() -> None:
    raw = write([(entry("base/1/1259"), b"x")])
    before = read(raw).members
    for at in range(512):
        changed = raw[:at] + bytes([raw[at] ^ 0x15]) + raw[at + 1 :]
        try:
            assert read(changed).members == before
        except (Damaged, Refused):
            continue
        assert 148 <= at < 156, f"byte {at} changed unnoticed"


@pytest.mark.parametrize(
    "info",
    [
        entry("/etc/passwd"),
        entry("../../etc/passwd"),
        entry("base/../../x"),
        entry("base/new\nline"),
        entry("base/1/16384", tarfile.SYMTYPE, "/etc"),
        entry("pg_wal", tarfile.SYMTYPE, "../elsewhere"),
        entry("pg_tblspc/16384", tarfile.SYMTYPE, "../../etc"),
        entry("pg_tblspc/16384", tarfile.SYMTYPE, "/srv/../etc"),
        entry("base/1/1", tarfile.LNKTYPE, "base/1/2"),
        entry("base/1/1", tarfile.LNKTYPE, "/etc/shadow"),
        entry("base/null", tarfile.CHRTYPE),
        entry("base/disk", tarfile.BLKTYPE),
        entry("base/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}->{info.linkname}".replace("\n", " "),
)
def test_a_hostile_member_is_refused_before_it_is_seen(info: tarfile.TarInfo) -> None:
    seen = Seen()
    reader = TarReader("base.tar", seen)
    with pytest.raises(Refused) as refusal:
        reader.feed(write([(entry("good"), b"1"), (info, b"")]))
    assert [member.name for member in seen.members] == ["good"]
    assert "base.tar" in refusal.value.message


def test_a_tablespace_link_is_a_legitimate_member() -> None:
    link = entry("pg_tblspc/16384", tarfile.SYMTYPE, "/srv/" + "deep/" * 40)
    member = read(write([(link, b"")])).members[0]
    assert (member.kind, member.target) == (Kind.SYMLINK, "/srv/" + "deep/" * 40)


def test_nothing_is_written_through_a_tablespace_link() -> None:
    link = entry("pg_tblspc/16384", tarfile.SYMTYPE, "/etc")
    with pytest.raises(Refused, match="written through"):
        read(write([(link, b""), (entry("pg_tblspc/16384/cron.d/x"), b"evil")]))


@pytest.mark.parametrize("again", ["base/1", "./base/1", "base//1"])
def test_a_member_that_comes_twice_is_refused(again: str) -> None:
    with pytest.raises(Damaged, match="twice"):
        read(write([(entry("base/1"), b"a"), (entry(again), b"b")]))


def test_a_program_that_runs_as_its_owner_is_refused() -> None:
    info = entry("base/1/sh")
    info.mode = 0o4755
    with pytest.raises(Refused, match="4755"):
        read(write([(info, b"")]))


def test_bytes_after_the_end_are_refused() -> None:
    raw = write([(entry("a"), b"x")])
    with pytest.raises(Damaged, match="not zero"):
        read(raw + write([(entry("b"), b"y")]))


def test_a_size_in_base_256_is_read() -> None:
    info = entry("big")
    info.size = 9 << 30
    block = info.tobuf(tarfile.GNU_FORMAT)
    seen = Seen()
    TarReader("base.tar", seen).feed(block)
    assert seen.members[0].size == 9 << 30


def test_the_sizes_of_pax_are_read() -> None:
    info = entry("big")
    info.size = 9 << 30
    seen = Seen()
    TarReader("base.tar", seen).feed(info.tobuf(tarfile.PAX_FORMAT))
    assert seen.members[0].size == 9 << 30
