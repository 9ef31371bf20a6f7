"""Which key opens a backup: all that the settings have are tried, and a wrong one is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pydantic import SecretStr

from runbook.errors import CheckFailed, Damaged
from runbook.logical import age, openssl
from runbook.logical.metadata import LogicalMetadata

_ONLY_IDENTITIES = (
    "Add the identity (AGE-SECRET-KEY-1...) that it was written for to encryption_keys."
)


def key_of(
    head: bytes, keys: Mapping[str, SecretStr], name: str, metadata: LogicalMetadata | None
) -> SecretStr:
    """Give the key that opens the first block of an openssl stream.

    CheckFailed when none does; Damaged when by the record it is the right key all the same.
    """
    for label in _order(keys, metadata):
        if openssl.begins_with_gzip(head, keys[label]):
            return keys[label]
    if metadata is not None and metadata.key_check is not None:
        for label in _order(keys, metadata):
            if metadata.key_check.fits(keys[label]):
                raise Damaged(
                    f"the beginning of {name} is damaged",
                    detail=f"key {label!r} is the one that it was written with, and its first "
                    "block is not that of a gzip stream",
                    hint="Compare its first part with another copy, or use another backup.",
                )
    raise no_key(name, keys, metadata, _other_kdf(head, keys))


def no_key(
    name: str, keys: Mapping[str, SecretStr], metadata: LogicalMetadata | None, hint: str = ""
) -> CheckFailed:
    """Make the error for a backup that no key opens."""
    tried = ", ".join(sorted(keys)) or "none"
    written = f"; it was written with key {metadata.key_name!r}" if metadata else ""
    return CheckFailed(
        f"no key opens {name}",
        detail=f"tried of encryption_keys: {tried}{written}",
        hint=hint
        or "Add the key that it was written with to encryption_keys. If it is there, the first "
        "part is damaged.",
    )


@contextmanager
def no_key_told(
    name: str, keys: Mapping[str, SecretStr], metadata: LogicalMetadata | None
) -> Iterator[None]:
    """Tell which keys were tried when none opens a stream of age."""
    try:
        yield
    except age.NoIdentity as error:
        raise no_key(name, keys, metadata, _ONLY_IDENTITIES) from error


def _order(keys: Mapping[str, SecretStr], metadata: LogicalMetadata | None) -> list[str]:
    written = metadata.key_name if metadata else ""
    return sorted(keys, key=lambda label: label != written)


def _other_kdf(head: bytes, keys: Mapping[str, SecretStr]) -> str:
    for kdf in openssl.KDFS[1:]:
        for label, key in keys.items():
            if openssl.begins_with_gzip(head, key, kdf):
                option = "-pbkdf2" if kdf == "pbkdf2" else f"-md {kdf}"
                return (
                    f"Key {label!r} opens it with {option}: it was not written with -md md5. "
                    f"Decrypt it by hand with {option}, and encrypt it again with -md md5."
                )
    return ""
