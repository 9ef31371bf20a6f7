"""Containers: what environment they were really made with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from runbook.compose import LISTING
from runbook.errors import CommandFailed
from runbook.hosts import Command, Host

# Arguments: the container client, a service, then the compose program and its file.
INSPECT = (
    LISTING
    + """all=$(own "$@") || exit 2
for id in $all; do
  $engine inspect -f "{{if .State.Restarting}}false{{else}}{{.State.Running}}{{end}} \
{{json .Config.Env}}" "$id" || exit 2
done
"""
)


@dataclass(frozen=True)
class Container:
    """One container: whether it runs, and its environment."""

    running: bool
    environment: tuple[str, ...] = field(repr=False)

    def has(self, name: str, value: str) -> bool:
        """Tell whether a variable has this value in it."""
        return f"{name}={value}" in self.environment


def containers(host: Host, command: Command) -> Sequence[Container]:
    """Run the script above; its output holds secrets and is in no error. Ref.: docker inspect"""
    done = host.attempt(command)
    if done.exit_code != 0:
        raise CommandFailed(
            f"{host}: the containers cannot be looked at",
            detail=done.stderr.strip()[-500:],
            hint="Does the container engine run there, and may this user ask it?",
        )
    return [_container(line) for line in done.stdout.splitlines()]


def _container(line: str) -> Container:
    running, _, environment = line.partition(" ")
    return Container(running == "true", tuple(json.loads(environment) or ()))
