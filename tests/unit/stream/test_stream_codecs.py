"""Codecs: what goes in comes out; a cut or changed stream is noticed; memory stays bounded."""

from __future__ import annotations

import gzip
import random
import tracemalloc

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import Damaged, Refused
from runbook.stream.codecs import Codec
from runbook.stream.coding import PIECE

PLAIN = b"".join(bytes([n % 251]) * (n % 97) for n in range(400)) + random.Random(1).randbytes(300)
COMPRESSED = [Codec.GZIP, Codec.ZSTD, Codec.LZ4]


def packed(codec: Codec, data: bytes) -> bytes:
    if codec is Codec.GZIP:
        return gzip.compress(data)
    if codec is Codec.ZSTD:
        return zstandard.ZstdCompressor(write_checksum=True).compress(data)
    return bytes(lz4.frame.compress(data, content_checksum=True))


def unpacked(codec: Codec, raw: bytes, step: int = 1 << 20) -> bytes:
    out: list[bytes] = []
    decoder = codec.decoder(out.append, name="base.tar")
    for at in range(0, len(raw), step):
        decoder.feed(raw[at : at + step])
    decoder.finish()
    return b"".join(out)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([Codec.NONE, Codec.GZIP, Codec.ZSTD]), st.binary(max_size=9000), st.data())
def test_what_was_encoded_is_decoded(codec: Codec, data: bytes, draw: st.DataObject) -> None:
    encoder = codec.encoder(level=1, threads=2)
    step = draw.draw(st.integers(1, 4000))
    raw = b"".join(encoder.feed(data[at : at + step]) for at in range(0, len(data), step))
    raw += encoder.finish()
    assert unpacked(codec, raw, draw.draw(st.integers(1, 4000))) == data


@pytest.mark.parametrize("codec", COMPRESSED)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_streams_in_a_row_are_one_stream(codec: Codec, step: int) -> None:
    raw = packed(codec, PLAIN) + packed(codec, b"") + packed(codec, PLAIN)
    assert unpacked(codec, raw, step) == PLAIN * 2


@pytest.mark.parametrize("codec", COMPRESSED)
def test_every_cut_of_a_stream_is_noticed(codec: Codec) -> None:
    raw = packed(codec, PLAIN)
    for cut in range(len(raw)):
        with pytest.raises(Damaged, match=r"base\.tar"):
            unpacked(codec, raw[:cut])


@pytest.mark.parametrize("codec", COMPRESSED)
def test_no_changed_byte_changes_what_comes_out(codec: Codec) -> None:
    raw = packed(codec, PLAIN)
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 0x40]) + raw[at + 1 :]
        try:
            assert unpacked(codec, changed) == PLAIN
        except Damaged:
            continue


@pytest.mark.parametrize("codec", COMPRESSED)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_garbage_behind_the_end_is_refused(codec: Codec, step: int) -> None:
    with pytest.raises(Damaged):
        unpacked(codec, packed(codec, PLAIN) + b"garbage!", step)


def test_zeros_behind_gzip_are_padding() -> None:
    assert unpacked(Codec.GZIP, packed(Codec.GZIP, PLAIN) + bytes(700), 100) == PLAIN
    with pytest.raises(Damaged, match="not zero"):
        unpacked(Codec.GZIP, packed(Codec.GZIP, PLAIN) + bytes(700) + b"x", 100)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_bomb_comes_out_in_small_pieces(codec: Codec) -> None:
    raw = packed(codec, bytes(200 << 20))
    sizes: list[int] = []
    decoder = codec.decoder(lambda piece: sizes.append(len(piece)), name="base.tar")
    tracemalloc.start()
    decoder.feed(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    decoder.finish()
    assert sum(sizes) == 200 << 20
    assert max(sizes) <= PIECE
    assert peak < 8 << 20


def test_a_skippable_zstd_frame_is_skipped() -> None:
    skippable = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"12345"
    raw = skippable + packed(Codec.ZSTD, PLAIN) + skippable
    assert unpacked(Codec.ZSTD, raw, 3) == PLAIN


def test_the_name_tells_the_codec() -> None:
    assert [Codec.of(f"base.tar{c.suffix}") for c in Codec] == list(Codec)
    with pytest.raises(Refused):
        Codec.of("backup_manifest")
