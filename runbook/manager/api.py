"""The API of the a9s Backup Manager: what it is asked, and what it is ordered to do."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import quote

from runbook.cluster import Cluster
from runbook.errors import RunbookError, SettingsError
from runbook.manager.answers import ManagedBackup, ManagedInstance, RestoreOrdered, parsed
from runbook.manager.settings import BackupManager
from runbook.manager.web import NotUnderstood, Unclear, WebService

NAME = "the Backup Manager"


@dataclass(frozen=True)
class ManagerApi:
    """The Backup Manager, as seen for one instance.

    Ref.: a9s Backup Manager, "a9s-pg Backup": backup_agent/backup, instances, restores
    """

    service: WebService
    settings: BackupManager

    def instance(self) -> ManagedInstance:
        """Ask for the instance with all its backups, patiently."""
        return parsed(ManagedInstance, self.service.ask(self._own), NAME)

    def instance_now(self) -> ManagedInstance:
        """Ask once; Unreachable while the manager is away."""
        return parsed(ManagedInstance, self.service.ask_once(self._own), NAME)

    def instances(self) -> tuple[ManagedInstance, ...] | None:
        """Ask for all instances; None where the manager does not list them (no page says so)."""
        try:
            tree = self.service.ask("/instances")
            if not isinstance(tree, list):
                return None
            return tuple(parsed(ManagedInstance, each, NAME) for each in tree)
        except RunbookError:
            return None

    def order_backup(self) -> str:
        """Order a backup; Unclear when the answer is lost. Gives what was said."""
        tree = self.service.order("/backup_agent/backup", self._backup_form)
        said = tree.get("message") if isinstance(tree, dict) else None
        return self.service.excerpt(str(said or "it was accepted"))

    def order_restore(self, backup: ManagedBackup) -> int:
        """Order a restore and give its number; Unclear when the answer is lost."""
        tree = self.service.order("/backup_agent/restores", self._restore_form(backup))
        try:
            return parsed(RestoreOrdered, tree, NAME).restore_id
        except NotUnderstood as error:
            raise Unclear(error.message, detail=error.detail, hint=error.hint) from error

    @property
    def asking(self) -> str:
        """Give the line that a person would type to look at the instance."""
        return shlex.join([*self._curl, f"{self.service.url}{self._own}"])

    @property
    def backup_line(self) -> str:
        """Give the line that a person would type to order a backup."""
        url = f"{self.service.url}/backup_agent/backup"
        return shlex.join([*self._curl, url, *_fields(self._backup_form)])

    def restore_line(self, backup: ManagedBackup) -> str:
        """Give the line that a person would type to order a restore."""
        url = f"{self.service.url}/backup_agent/restores"
        return shlex.join([*self._curl, url, *_fields(self._restore_form(backup))])

    @property
    def _curl(self) -> tuple[str, ...]:
        ca = self.settings.certificate_authority
        trusted = ("--cacert", ca) if ca else ()
        return ("curl", *trusted, "-u", f"{self.settings.user}:***")

    @property
    def _own(self) -> str:
        return f"/instances/{quote(self.settings.instance, safe='')}"

    @property
    def _backup_form(self) -> dict[str, str]:
        return {"instance_guid": self.settings.instance}

    def _restore_form(self, backup: ManagedBackup) -> dict[str, str]:
        return {"backup_id": str(backup.id), "instance_id": str(backup.instance_id)}


def manager_of(cluster: Cluster) -> ManagerApi:
    """Give the Backup Manager of a cluster; SettingsError where it has none."""
    settings = cluster.manager
    if settings is None:
        raise SettingsError(
            f"cluster {cluster} is not known to have a Backup Manager",
            hint="Write manager: and manager_password: into its settings.",
        )
    service = WebService(
        NAME,
        settings.url.rstrip("/"),
        certificate_authority=settings.certificate_authority,
        user=settings.user,
        password=cluster.manager_password,
        timeout=settings.timeout,
        patience=settings.patience,
    )
    return ManagerApi(service, settings)


def _fields(form: dict[str, str]) -> list[str]:
    return [word for name, value in form.items() for word in ("-d", f"{name}={value}")]
