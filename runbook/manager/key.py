"""The encryption key of the backups, as the a9s API V1 is given it."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from runbook.actions import Action, Work
from runbook.cluster import Cluster
from runbook.errors import SettingsError
from runbook.manager.marks import KeyMark
from runbook.manager.web import WebService

NAME = "the a9s API"
_SHORTEST = 16
_SHOWN_DIGITS = 8
_COST = 1 << 15
_MEMORY = 64 << 20


@dataclass(frozen=True)
class KeyOrder:
    """A key of the settings that new backups shall be encrypted with."""

    cluster: Cluster
    service: WebService
    name: str
    key: SecretStr
    fingerprint: str

    def is_given(self, *, by_run: str = "") -> bool:
        """Tell whether this worker has given the API this key last, if wanted by one run.

        The API cannot tell.
        """
        mark = KeyMark.read(self.cluster.name)
        return (
            mark is not None
            and mark.fingerprint == self.fingerprint
            and mark.url == self.service.url
            and by_run in ("", mark.run)
        )

    def give(self, run_id: str) -> Action:
        """Set the key. Ref.: a9s API V1, "Update Backup Configuration"."""
        return Work(NAME, self._line, lambda: self._give(run_id))

    def weakness(self) -> str:
        """Tell why the key must not be used; nothing where it may."""
        key = self.key.get_secret_value()
        if len(key) < _SHORTEST:
            return f"it has {len(key)} characters, fewer than {_SHORTEST}"
        return "" if key.isprintable() and key.isascii() else "it has characters to stumble over"

    @property
    def _line(self) -> str:
        trusted = self.service.certificate_authority
        words = ["curl", *(("--cacert", trusted) if trusted else ()), "-X", "PATCH"]
        words += ["-H", "Authorization: ***", "--json", '{"encryption_key": "***"}']
        return shlex.join([*words, f"{self.service.url}/backups-config"])

    def _give(self, run_id: str) -> str:
        self.service.put_right("/backups-config", {"encryption_key": self.key.get_secret_value()})
        given = datetime.now(UTC)
        mark = KeyMark(run=run_id, url=self.service.url, fingerprint=self.fingerprint, given=given)
        mark.write(self.cluster.name)
        return f"the API has the key with fingerprint {self.fingerprint}"


def key_order(cluster: Cluster) -> KeyOrder:
    """Give the order for the key that the settings name; SettingsError where something lacks."""
    api, logical = cluster.service_api, cluster.logical
    if api is None or logical is None or not cluster.service_api_token.get_secret_value():
        raise SettingsError(
            f"cluster {cluster} is not known to the a9s API",
            detail="needed are service_api, service_api_token, logical and encryption_keys",
            hint="Write them into its settings; the key first: it is stored before it is used.",
        )
    key = cluster.encryption_keys[logical.key]
    service = WebService(
        NAME,
        api.url.rstrip("/"),
        certificate_authority=api.certificate_authority,
        authorization=cluster.service_api_token,
        password=key,  # sent nowhere by that name; an echo of it is hidden in errors
    )
    return KeyOrder(cluster, service, logical.key, key, fingerprint(key, cluster.name))


def fingerprint(key: SecretStr, cluster: str) -> str:
    """Give 32 bits by which people tell keys apart; each guess at the key costs 32 MB and 0.1 s.

    Two clusters with the same key show different ones.
    """
    salt = f"pg-runbooks backup key of {cluster}".encode()
    digest = hashlib.scrypt(
        key.get_secret_value().encode(), salt=salt, n=_COST, r=8, p=1, maxmem=_MEMORY
    )
    return digest.hex()[:_SHOWN_DIGITS]
