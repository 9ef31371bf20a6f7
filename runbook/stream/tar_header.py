"""One tar header block and the pax records that may precede it.

Ref.: https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

BLOCK = 512
_CHECKSUM = slice(148, 156)


class Kind(StrEnum):
    """What a member is, named for messages."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    FIFO = "fifo"
    SPARSE = "sparse file"
    LONG_NAME = "GNU long name"
    LONG_LINK = "GNU long link"
    PAX = "pax header"
    PAX_GLOBAL = "pax global header"
    OTHER = "member of unknown type"


_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
    b"S": Kind.SPARSE,
    b"L": Kind.LONG_NAME,
    b"K": Kind.LONG_LINK,
    b"x": Kind.PAX,
    b"X": Kind.PAX,
    b"g": Kind.PAX_GLOBAL,
}
EXTENSIONS = frozenset({Kind.LONG_NAME, Kind.LONG_LINK, Kind.PAX, Kind.PAX_GLOBAL})


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive; `size` in bytes, `target` of a link."""

    name: str
    kind: Kind
    size: int
    mode: int
    target: str = ""


def parse_header(block: bytes) -> Member:
    """Read one header block of 512 bytes; raises `ValueError`."""
    _check_sum(block)
    kind = _KINDS.get(block[156:157], Kind.OTHER)
    name = text(block[0:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = f"{text(block[345:500])}/{name}"
    size = number(block[124:136])
    return Member(name, kind, size, number(block[100:108]), text(block[157:257]))


def text(field: bytes) -> str:
    """Decode a field that may end with a NUL."""
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def number(field: bytes) -> int:
    """Read an octal or, for big values, base-256 number; raises `ValueError`."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] != 0x80 or value >= 1 << 63:
            raise ValueError(f"A header holds an impossible number, {field.hex()}.")
        return value
    digits = field.partition(b"\0")[0].strip()
    if digits.strip(b"01234567"):
        raise ValueError(f"A header holds {field!r} where a number belongs.")
    return int(digits or b"0", 8)


def _check_sum(block: bytes) -> None:
    said = number(block[_CHECKSUM])
    found = sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")
    if said != found:
        raise ValueError(f"A header's checksum is {found}, not {said}; it begins {block[:40]!r}.")


def parse_pax(payload: bytes) -> dict[str, str]:
    """Read the records "length key=value\\n" of a pax header; raises `ValueError`."""
    records: dict[str, str] = {}
    while payload:
        digits, _, _ = payload.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 10 else 0
        record = payload[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if not equals or record[-1:] != b"\n" or length > len(payload):
            raise ValueError(f"A pax header is damaged: {payload[:60]!r}.")
        records[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
        payload = payload[length:]
    return records
