"""Checksums of parts, in the form that servers compare them."""

from __future__ import annotations

import io

from runbook.stores.s3_object import crc32_of, md5_of


def test_checksums_are_those_of_the_whole_body_in_base64() -> None:
    body = io.BytesIO(b"123456789")
    body.seek(5)
    assert crc32_of(body) == "y/Q5Jg=="  # 0xCBF43926, the check value of CRC-32
    assert md5_of(body) == "JfnnlDI7RTiF9RgfG2JNCw=="  # printf 123456789 | md5sum
