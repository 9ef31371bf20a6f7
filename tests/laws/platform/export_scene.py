"""A platform with its client on a host of the loopback lab, a git repository, and a store."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import apc, processes
from tests.lab.apc import Platform
from tests.lab.loopback import LoopbackLab
from tests.lab.sshd import Host
from tests.laws import inventory
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome

AUTH = "on auth::/ {\n    { permit all } // {\n}\n"
POLICY = {"authSettings.pol": AUTH, "jobs.pol": 'on job::/ {\n  { name "}" permit all }\n}\n'}


@dataclass
class Scene:
    """The settings may be changed between runs."""

    lab: LoopbackLab
    host: Host
    platform: Platform
    base: Path
    in_git: bool = True
    exports: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The cluster's name; no other lab's, because all lab hosts share the locks in /tmp."""
        return f"platform-{self.host.name}-{self.lab.name}"

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        path = inventory.write(self.base, inventory.of_one(self.name, self._cluster(), self.base))
        return Runner(path, self.base / "state", timeout=120)

    def run(self, procedure: str, **arguments: Any) -> Outcome:
        """Run a procedure."""
        return self.runner.run(procedure, cluster=self.name, **arguments)

    def done(self, procedure: str, **arguments: Any) -> Outcome:
        """Run a procedure, which must succeed."""
        outcome = self.run(procedure, **arguments)
        assert outcome.completed, outcome.said
        return outcome

    @property
    def way(self) -> Path:
        """Give the folder for files on their way."""
        return self.base / "way"

    @property
    def repository(self) -> Path:
        """Give the bare repository."""
        return self.base / "policy.git"

    def git(self, *words: str) -> str:
        """Ask the repository with git itself."""
        argv = ["git", "-c", "safe.directory=*", "-C", self.repository, *words]
        return processes.run(argv).stdout.strip()

    def commits(self) -> int:
        """Count the commits; none where there is no branch."""
        return len(self.git("rev-list", "--all").splitlines())

    def kept(self) -> dict[str, str]:
        """Give the documents of the newest commit, as git shows them."""
        if not self.commits():
            return {}
        paths = self.git("ls-tree", "-r", "--name-only", "main").splitlines()
        return {Path(path).name: f"{self.git('show', f'main:{path}')}\n" for path in paths}

    def push(self, files: dict[str, str]) -> None:
        """Commit files as a person does."""
        clone, words = self.base / "clone", ["-c", "user.name=x", "-c", "user.email=x@localhost"]
        processes.run(["git", "clone", "-q", self.repository, clone])
        for path, text in files.items():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            (clone / path).write_text(text)
        processes.run(["git", "-C", clone, "add", "-A"])
        processes.run(["git", "-C", clone, *words, "commit", "-qm", "by hand"])
        processes.run(["git", "-C", clone, "push", "-q", "origin", "HEAD:main"])
        processes.run(["rm", "-rf", clone])

    def stored(self, kind: str = "policy") -> list[str]:
        """Name every file of a kind in the store."""
        top = self.base / "store" / self.name / "exports" / kind
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())

    def begin(self) -> None:
        """Begin anew: a platform with two documents, empty places, no history."""
        self.in_git, self.exports = True, {}
        self.platform.empty()
        for name, text in POLICY.items():
            self.platform.put("policy", name, text)
        for path in (self.base / "store", self.base / "state", self.way, self.repository):
            shutil.rmtree(path, ignore_errors=True)
        self.way.mkdir(mode=0o700)
        shutil.chown(self.way, "postgres")
        processes.run(["git", "init", "-q", "--bare", "-b", "main", self.repository])

    def settled(self) -> None:
        """Insist that nothing of a run is left, neither running nor lying about."""
        programs = (str(self.platform.program), str(self.way))

        def busy() -> list[int]:
            found = processes.members(self.lab.name, self.base)
            lines = {pid: Path(f"/proc/{pid}/cmdline") for pid in found}
            return [
                pid
                for pid, path in lines.items()
                if processes.alive(pid) and any(each in _text(path) for each in programs)
            ]

        processes.until(lambda: not busy(), "nothing runs", within=60)
        left = lambda: [p for p in self.way.iterdir() if p.name.startswith("export.")]  # noqa: E731
        processes.until(lambda: not left(), "no export lies about", within=60)

    def _cluster(self) -> dict[str, Any]:
        where = inventory.host(self.host, "postgres")
        place = {"repository": {"url": str(self.repository)}} if self.in_git else {}
        return {
            "nodes": [
                {
                    "name": self.host.name,
                    "host": where,
                    "address": self.host.address,
                    "data_directory": str(self.base / "none"),
                    "service": {"kind": "pg_ctl"},
                }
            ],
            "backups": {"store": "store"},
            "exports": {
                "client": where,
                "program": str(self.platform.program),
                "directory": str(self.way),
                "store": "store",
                **place,
                **self.exports,
            },
        }


def build(lab: LoopbackLab, name: str) -> Scene:
    """Make a host with the client."""
    host = lab.host(name)
    base = lab.directory / f"{name}-base"
    base.mkdir(mode=0o755)
    scene = Scene(lab, host, apc.install(base), base)
    scene.begin()
    return scene


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
