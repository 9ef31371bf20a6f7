"""A whole platform on the loopback lab: server groups, an Orchestrator naming them, a client."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.loopback import LoopbackLab
from tests.laws import component_scene, inventory, orchestrator_scene
from tests.laws.component_scene import DATABASES
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome
from tests.laws.platform import export_scene

RUN = "1234567890abcdef1234567890abcdef"


@dataclass
class Scene:
    """The scenes, each with its own places; the Orchestrator's cluster names the first group."""

    group: component_scene.Scene
    second: component_scene.Scene
    head: orchestrator_scene.Scene
    client: export_scene.Scene
    platform: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The cluster that is ordered."""
        return self.head.name

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        base = self.head.base
        path = inventory.write(base, self._inventory())
        return Runner(path, base / "state", timeout=180, log=base / "told")

    def run(self, procedure: str = "platform-backup", **arguments: Any) -> Outcome:
        """Run a procedure on the platform."""
        return self.runner.run(procedure, cluster=self.name, **arguments)

    def done(self, **arguments: Any) -> Outcome:
        """Back the platform up, which must succeed."""
        outcome = self.run(**arguments)
        assert outcome.completed, outcome.said
        return outcome

    def files(self) -> dict[str, int]:
        """Name every file of all places, and when it was written."""
        stores = [scene.base / "store" for scene in (self.group, self.head, self.client)]
        dumps = [group.base / "backups" for group in (self.group, self.second)]
        tops = [*stores, *dumps, self.head.work, self.client.way]
        found = [path for top in tops for path in top.rglob("*") if path.is_file()]
        return {str(path): path.stat().st_mtime_ns for path in sorted(found)}

    def records(self) -> dict[str, int]:
        """Name the records, which are written last, and when each was written."""
        return {name: at for name, at in self.files().items() if name.endswith(".json")}

    def exported(self, kind: str) -> list[Path]:
        """Name the exports of a kind that have their record."""
        top = self.client.base / "store" / self.name / "exports" / kind
        return sorted(path.parent for path in top.glob("*/export.json"))

    def unfinished(self) -> list[str]:
        """Name every file that looks begun and not finished."""
        begun = [name for name in self.files() if name.endswith((".begun", ".part"))]
        scenes = (self.group, self.second, self.head)
        return [*begun, *(name for scene in scenes for name in scene.unfinished())]

    def counts(self) -> tuple[int, ...]:
        """Count what there is of every part: dumps of each database, backups, versions."""
        dumps = (len(self.group.ids(name)) for name in DATABASES)
        exports = (len(self.exported(kind)) for kind in ("package", "job"))
        return (*dumps, len(self.head.ids()), self.client.commits(), *exports)

    def begin(self) -> None:
        """Begin anew: nothing backed up, all parts set."""
        for scene in (self.group, self.second, self.head):
            scene.empty()
        self.client.begin()
        self.platform, self.without = {"clusters": [self.group.name]}, ()
        self.client.platform.put("job", "apcera/guide", "guide\n")
        self.client.platform.put("package", "apcera.pkg/go-1", "go\n")
        (self.client.base / "cluster.conf").write_text("chef: {}\n")

    def settled(self) -> None:
        """Insist that nothing of a run is left running."""
        for scene in (self.group, self.second, self.head, self.client):
            scene.settled()

    def _inventory(self) -> dict[str, Any]:
        group, head = self.group._inventory(), self.head._inventory()
        client = self.client._cluster()["exports"]
        where = inventory.host(self.client.host, "postgres")
        ours = head["clusters"][self.head.name] | {
            "exports": {
                **client,
                "store": "exports",
                "jobs": {"/apcera": ["guide"]},
                "packages": {"/apcera/pkg": ["go-1"]},
                "installation": {
                    "host": where,
                    "files": [str(self.client.base / "cluster.conf")],
                },
            },
            "platform": self.platform,
        }
        ours["orchestrator"]["store"] = "vault"
        for setting in self.without:
            outer, _, inner = setting.partition(".")
            (ours[outer] if inner else ours).pop(inner or outer)
        stores = {
            **group["stores"],
            "vault": _folder(self.head.base / "store"),
            "exports": _folder(self.client.base / "store"),
        }
        groups = {**group["clusters"], **self.second._inventory()["clusters"]}
        return {"stores": stores, "clusters": {**groups, self.name: ours}}


def _folder(path: Path) -> dict[str, Any]:
    return {"location": {"kind": "folder", "path": str(path)}}


def build(lab: LoopbackLab) -> Scene:
    """Make the platform."""
    group, second = (component_scene.build(lab, name, rows=200) for name in ("pfg", "pfh"))
    head = orchestrator_scene.build(lab, "pfo")
    scene = Scene(group, second, head, export_scene.build(lab, "pfc"))
    scene.begin()
    return scene
