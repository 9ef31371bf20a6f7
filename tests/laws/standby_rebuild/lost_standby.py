"""The standby that is lost: rebuilt, with settings of its own."""

from __future__ import annotations

from pathlib import Path

from tests.lab.postgres import PostgresNode
from tests.laws.outcome import Outcome
from tests.laws.replication_scene import Scene


def rebuild(scene: Scene, **arguments: object) -> Outcome:
    return scene.run("standby-rebuild", **{"standby": "rb", **arguments})


def own_line_kept(directory: Path, text: str) -> bool:
    return (directory / "postgresql.conf").read_text() == text


def configured(node: PostgresNode, line: str) -> None:
    with (node.data_directory / "postgresql.conf").open("a") as file:
        file.write(f"{line}\n")
