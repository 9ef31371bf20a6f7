"""A restore of an Orchestrator: what was chosen, how far it is, and the commands of the page."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property

from runbook.actions import Action, Execute, Work
from runbook.components.statements import literal
from runbook.errors import CheckFailed
from runbook.hosts import Command
from runbook.orchestrator.backup import OrchestratorBackup
from runbook.orchestrator.copied import Copied
from runbook.orchestrator.former import FormerOrchestrator
from runbook.orchestrator.mark import Marked
from runbook.orchestrator.places import Live, Places
from runbook.orchestrator.proof import Proof
from runbook.orchestrator.retirement import Retirement
from runbook.orchestrator.target import Target
from runbook.orchestrator.vendor import Vendor
from runbook.tools import orchestrator_cli, psql

_SUPERUSER = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper AND rolname = {role}"
PLACEABLE = 'test -w "${1%/*}/" && test -w "$(dirname -- "$(readlink -m -- "$1")")"'
"""Tells whether a file can be put in its place, and what is there kept beside it."""

# A configuration that is another one is kept aside, under a name that none there has. A link stays
# one; the new file has the rights of the old one, and is there whole or not at all.
_PLACE = """set -eu; umask 077
if cmp -s -- "$1" "$2"; then exit 0; fi
file=$(readlink -m -- "$2")
new="${file%/*}/.pg-runbooks-${file##*/}.new"
trap 'rm -f -- "$new"' EXIT
cat <"$1" >"$new"
if [ -e "$file" ]; then
  chmod --reference="$file" -- "$new"; cp -p --backup=numbered -T -- "$file" "$2.before-$3"
fi
sync -- "$new"; mv -T -- "$new" "$file"
"""


@dataclass(frozen=True)
class Restoring:
    """Puts a backup onto a new Orchestrator, in place of an old one."""

    places: Places
    backup: OrchestratorBackup
    retirement: Retirement
    release: str
    statement: str
    node_number: int

    @property
    def live(self) -> Live:
        """Give the new Orchestrator."""
        return self.places.live

    @property
    def old(self) -> FormerOrchestrator:
        """Give the old Orchestrator."""
        return self.retirement.old

    @property
    def target(self) -> Target:
        """Give the database on the new Orchestrator."""
        return Target(self.live, self.backup)

    @property
    def marked(self) -> Marked:
        """Give the mark of the new Orchestrator's database."""
        return Marked(self.live)

    @cached_property
    def copied(self) -> Copied:
        """Give the copy of the backup on the new Orchestrator."""
        return Copied(self.places, self.backup)

    @cached_property
    def proof(self) -> Proof:
        """Give what the database is compared with."""
        return Proof(self.target, lambda: self.copied.text)

    @property
    def question(self) -> str:
        """Ask for the go-ahead."""
        if self.is_proven():
            return (
                f"{self.live} is the Orchestrator already, with backup {self.backup.id}; /tmp, or "
                f"what else is not as its restore has left it, is made good. {self.old} stays out "
                "of service."
            )
        return (
            f"{self.live} becomes the Orchestrator, with backup {self.backup.id}; "
            f"{self.old} goes out of service for good."
        )

    def is_loaded(self) -> bool:
        """Tell whether the database was proven to be that of the backup; it may live on since."""
        return self.marked.says(self.backup, "loaded", "done")

    def is_proven(self) -> bool:
        """Tell whether the whole restore was proven."""
        return self.marked.says(self.backup, "done")

    def is_done(self) -> bool:
        """Tell whether the restore was proven, and nothing of it is left behind."""
        return not self.copied.all() and self.is_proven() and self.marked.is_of_this_boot()

    def has_backup(self) -> bool:
        """Tell whether a load of the backup has ended well here, and nothing has changed since.

        Rows that fit are no proof of it: those of another backup may, and of a load that failed.
        """
        if self.is_loaded():
            return True
        whole = self.marked.says(self.backup, "whole")
        return whole and self.copied.is_there() and not self.proof.differences()

    def is_configured(self) -> bool:
        """Tell whether the configuration is that of the backup."""
        wanted = self.copied.sums[self.backup.configuration]
        return self.copied.sum(self.live.settings.config) == wanted

    def needs_files(self) -> bool:
        """Tell whether the files of the backup are needed still."""
        return not self.is_proven() and not (self.is_loaded() and self.is_configured())

    def may_log_in(self) -> bool:
        """Tell whether the user of the program gets into PostgreSQL as the database's user."""
        settings, node = self.live.settings, self.live.node
        command = psql.login(
            node.program("psql"),
            user=settings.user,
            role=settings.database_user,
            port=node.port,
            socket=node.socket_directory,
            database=self.target.name if self.target.now() else "postgres",
        )
        return node.host.ask(command).exit_code == 0

    def knows_restricted(self) -> bool:
        """Tell whether psql knows the restricted mode that newer dumps are loaded in."""
        node = self.live.node
        command = psql.script(
            node.program("psql"),
            "\\restrict known\n\\unrestrict known\n",
            user=node.server_user,
            port=node.port,
            socket=node.socket_directory,
            database="postgres",
        )
        return node.console.ask(command).exit_code == 0

    def is_superuser(self) -> bool:
        """Tell whether the database's user may do everything."""
        role = literal(self.live.settings.database_user)
        return bool(self.live.node.ask(_SUPERUSER.format(role=role)))

    def initialise(self) -> tuple[Action, ...]:
        """Give what lets the program make its databases, with the copied configuration."""
        settings = self.live.settings
        dry = orchestrator_cli.deploy_dry(
            settings.program, config=self.backup.configuration, user=settings.user
        )
        return (*self.marked.superseding(), self._inside(dry))

    def load(self) -> tuple[Action, ...]:
        """Give what loads the database, and compares it."""
        settings, node = self.live.settings, self.live.node
        if self.backup.way == "automated":
            loading = orchestrator_cli.restore(
                settings.program, file=self.copied.archive, user=settings.user
            )
        else:
            loading = psql.load(
                node.program("psql"),
                self.copied.dump,
                user=settings.user,
                role=settings.database_user,
                port=node.port,
                socket=node.socket_directory,
                database=settings.database,
                major=self.live.identity.major,
            )
        line = f"compare the tables of {self.target.name}, and the rows of each, with the dump"
        return (
            self.marked.writing(self.backup, "loading"),
            Vendor(self.live, self.copied.folder, rows=True).action(loading),
            Work(node.host.name, line, self._compare, changes=False),
            self.marked.writing(self.backup, "whole"),
        )

    def configure(self) -> tuple[Action, ...]:
        """Give what puts the configuration of the backup in its place."""
        source, place = self.copied.configuration, self.live.settings.config
        argv = ("sh", "-c", _PLACE, "place", source, place, self.backup.id)
        command = Command(
            argv, user=self.live.settings.user, timeout=self.live.settings.limit_seconds
        )
        kept = f"{place}.before-{self.backup.id}"
        shown = f"cp -p {shlex.quote(place)} {shlex.quote(kept)}; cp {source} {shlex.quote(place)}"
        return (Execute(self.live.node.host, command, shown=shown),)

    def rehearse(self) -> tuple[Action, ...]:
        """Give what makes a new graph.png, and refreshes /tmp."""
        settings = self.live.settings
        dry = orchestrator_cli.deploy_dry(
            settings.program, config=settings.config, user=settings.user, release=self.release
        )
        return (self._inside(dry),)

    def log_in(self) -> Action:
        """Give what logs into one of the cluster's nodes."""
        settings = self.live.settings
        command = orchestrator_cli.ssh(
            settings.program, user=settings.user, number=self.node_number
        )
        return self._inside(command)

    def conclude(self) -> tuple[Action, ...]:
        """Give what marks the end, and removes the copies."""
        return (self.marked.writing(self.backup, "done"), self.copied.removing())

    def graph_age(self) -> str:
        """Give when graph.png was written; empty where there is none."""
        argv = ("stat", "-c", "%y %i", f"{self.copied.folder}/graph.png")
        done = self.live.node.host.ask(Command(argv, user=self.live.settings.user, timeout=60))
        return done.stdout.strip() if done.exit_code == 0 else ""

    def _compare(self) -> str:
        differences = self.proof.differences()
        if differences:
            raise CheckFailed(
                f"the database on {self.live} is not that of backup {self.backup.id}",
                detail="; ".join(differences),
                hint="The load was not whole, whatever it said. Look at the log of PostgreSQL, "
                "remove the cause, and start again: this database is then set aside.",
            )
        text = self.copied.text
        if not text.tells_rows:
            return f"{text.tables} tables, as in the dump; rows are not counted: it has INSERT"
        return f"{text.tables} tables with {sum(text.rows.values())} rows, as in the dump"

    def _inside(self, command: Command) -> Action:
        return Vendor(self.live, self.copied.folder, self.copied.secrets).action(command)
