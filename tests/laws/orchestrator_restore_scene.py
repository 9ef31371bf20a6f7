"""An Orchestrator that moves: the old one with a backup, and a new machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbook.hosts.host import READ
from runbook.orchestrator.doors import KNOCK, TWIN
from runbook.orchestrator.former import SERVERS, WHEREABOUTS
from runbook.orchestrator.restoring import PLACEABLE
from runbook.orchestrator.room import NEAREST
from tests.lab import orchestrator
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import inventory, orchestrator_scene
from tests.laws.backup_scene import give_to_postgres
from tests.laws.orchestrator_scene import Scene
from tests.laws.outcome import Outcome

_OUT = 'test ! -e "$1/up" && test -e "$1/held"'
SCRIPTS = (
    *(*orchestrator_scene.SCRIPTS, READ, NEAREST, _OUT),
    *(KNOCK, TWIN, SERVERS, WHEREABOUTS, PLACEABLE),
)
"""The scripts that only look."""

DRESSING = (
    ("ALTER", "SET lab.allowed TO 'yes'"),
    ("ALTER", "CONNECTION LIMIT 50"),
    ("COMMENT ON", "IS 'of the platform'"),
    ("REVOKE CONNECT ON", "FROM PUBLIC"),
)
"""What belongs to the old one's database, and stands in no dump of it."""

_MARK = """
SELECT c FROM pg_database d JOIN pg_db_role_setting s ON s.setdatabase = d.oid, unnest(setconfig) c
WHERE datname = 'orchestrator' AND c LIKE 'pg_runbooks.orchestrator=%'
"""
_PROPERTIES = """
SELECT datconnlimit, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) AS a),
       shobj_description(d.oid, 'pg_database'),
       (SELECT array_agg(c) FROM pg_db_role_setting s, unnest(setconfig) c
        WHERE s.setdatabase = d.oid AND c NOT LIKE 'pg_runbooks.%')
FROM pg_database d WHERE datname = 'orchestrator'
"""
_SERVICE = """#!/bin/sh
# stop | hold
cd "$(dirname "$0")" || exit 2
case $1 in stop) rm -f up;; hold) touch held;; esac
"""


@dataclass
class Moving(Scene):
    """The new Orchestrator, with the old one as its settings name it."""

    old: Scene | None = None
    previous: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    kept: str = ""
    """What the old one's database holds."""
    dressed: str = ""
    """What belongs to it, and stands in no dump of it."""

    @property
    def name(self) -> str:
        """The cluster's name, which is that of the old one: its backups lie there."""
        return self.before.name

    @property
    def before(self) -> Scene:
        """The old Orchestrator."""
        assert self.old is not None
        return self.old

    @property
    def service(self) -> Path:
        """The folder of another service of the old one."""
        return self.before.home / "service"

    @property
    def assets(self) -> Path:
        """What a deploy with a release has refreshed."""
        return self.programs["p"].parent / "assets"

    def restore(self, **arguments: Any) -> Outcome:
        """Restore onto the new Orchestrator, which has another address."""
        return self.run("orchestrator-restore", **{"new_address": True, **arguments})

    def fresh(self) -> None:
        """Make the new machine as its image has it; let the old one live."""
        self.before.node.host.start_ssh()
        if not self.before.node.is_running():
            self.before.node.start()
        (self.service / "up").touch()
        (self.service / "held").unlink(missing_ok=True)
        give_to_postgres(self.service)
        shutil.rmtree(self.work, ignore_errors=True)
        for path in (*self.home.glob("cluster.conf*"), *self.home.glob("*/assets")):
            path.unlink()
        self.orchestrator, self.previous, self.server = {}, {}, {}
        for name in self.databases():
            self.node.psql(f"DROP DATABASE {name} WITH (FORCE)")
        self.node.psql(f"CREATE DATABASE {orchestrator.DATABASE} OWNER {orchestrator.DATABASE}")
        self.node.psql("CREATE TABLE as_delivered (n int)", database=orchestrator.DATABASE)

    def databases(self) -> list[str]:
        """Name the Orchestrator's databases on the new one."""
        listed = "SELECT datname FROM pg_database WHERE datname LIKE 'orchestrator%' ORDER BY 1"
        return self.node.psql(listed).split()

    def rebooted(self) -> None:
        """Let the mark of the new one's database be of an earlier boot; /tmp is empty."""
        name, _, mark = self.node.psql(_MARK).partition("=")
        earlier = f"{mark.rpartition(':')[0]}:earlier"
        self.node.psql(f"ALTER DATABASE {orchestrator.DATABASE} SET {name} TO '{earlier}'")
        self.assets.unlink()

    def is_dressed(self) -> bool:
        """Judge whether the new one's database has what belongs to the old one's."""
        return self.node.psql(_PROPERTIES) == self.dressed

    def by_psql(self, statement: str) -> str:
        """Give a line for a shell of the new one that runs a statement in its database."""
        node = self.node
        place = f"-h {node.socket_directory} -p {node.port} -U {orchestrator.DATABASE}"
        program = f"{node.bin_directory}/psql -w -X -q"
        return f'{program} {place} -d {orchestrator.DATABASE} -c "{statement}"'

    def is_retired(self) -> bool:
        """Judge from outside whether nothing of the old one runs, or would be started."""
        held = (self.service / "held").exists() and not (self.service / "up").exists()
        return held and not self.before.node.is_running()

    def _inventory(self) -> dict[str, Any]:
        made = super()._inventory()
        service = {
            "kind": "commands",
            "name": "chef-server",
            **{f"{word}_command": [str(self.service / "sh"), word] for word in ("stop", "hold")},
            "out_command": ["sh", "-c", _OUT, "out", str(self.service)],
        }
        shared = {**inventory.server(self.before.node), "services": [service], "shared": True}
        old = {**shared, **self.previous}
        made["clusters"][self.name]["orchestrator"]["previous"] = old
        made["clusters"][self.name]["nodes"][0].update(self.server)
        return made


def build(lab: LoopbackLab) -> Moving:
    """Make both, and a service of the old one."""
    old = orchestrator_scene.build(lab, "orch-old")
    node: PostgresNode = lab.postgres("orch-new", hba=orchestrator.HBA)
    node.psql(f"CREATE ROLE {orchestrator.DATABASE} LOGIN CREATEDB")
    node.psql("CREATE ROLE locked NOLOGIN")
    home = old.base / "new-home"
    home.mkdir(mode=0o755)
    programs = {form: orchestrator.install(node, home, form=form) for form in ("p", "c")}
    made = Moving(lab, node, old.base, home, programs, old=old)
    made.service.mkdir()
    orchestrator.executable(made.service / "sh", _SERVICE)
    for folder in (home, old.home):
        give_to_postgres(folder)
    for statement in DRESSING:
        old.node.psql(f"{statement[0]} DATABASE {orchestrator.DATABASE} {statement[1]}")
    made.kept = orchestrator.fingerprint(old.node)
    made.dressed = old.node.psql(_PROPERTIES)
    return made
