"""Findings about repmgr: what it believes of the cluster, and its own check of each node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from runbook.health.finding import Finding, Level, found
from runbook.health.scope import Scope, is_only_about
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.replication.members import (
    Member,
    members,
    repmgr_of,
    repmgr_program,
    strangers,
)
from runbook.replication.repmgrd import daemons
from runbook.replication.survey import Survey
from runbook.tools import repmgr

_SHOWN = re.compile(r"^(\d+),(-?\d+),(-?\d+)$", re.MULTILINE)
_CHECKED = re.compile(r'^"([^"]+)","([^"]+)"(?:,"(.*)")?$', re.MULTILINE)
_STATUSES = {"OK": Level.OK, "WARNING": Level.WARNING}
_HEAD = ("Node name", "Node ID")
# Here repmgr has bounds of its own; the settings' bounds decide what is critical.
_BOUNDED = ("lag", "archiving", "slots")


def node_findings(node: Node, scope: Scope) -> Iterator[Finding]:
    """Ask repmgr on a running node for its view of the cluster, and for its check of the node."""
    program, path = repmgr_program(node), repmgr_of(node).configuration
    known = members(node)
    out = scope.ids(known)
    yield _shown(node, repmgr.cluster_show(program, path, user=node.os_user), known, out)
    yield from _checked(node, repmgr.node_check(program, path, user=node.os_user), out)


def cluster_findings(scope: Scope, survey: Survey) -> Iterator[Finding]:
    """Compare the metadata with the settings, and see that no repmgrd was left paused."""
    cluster = scope.serving
    if not survey.silent and len(survey.writable) == 1:
        known = [m for m in members(survey.writable[0]) if not scope.leaves_out(m)]
        for member in strangers(cluster, known):
            unregister = f"repmgr standby unregister --node-id={member.node_id}"
            hint = f"Add it to the settings, or, if it is gone for good: {unregister}"
            text = f"repmgr knows {member.name} at {member.address}, the settings do not"
            yield found(Level.WARNING, str(cluster), "repmgr metadata", text, hint)
    running = daemons(cluster.nodes)
    for node in running.paused:
        hint = "Nothing fails over by itself: repmgr service unpause, when the work is done."
        yield found(Level.WARNING, str(node), "repmgrd", "is paused", hint)
    for node in running.acting:
        yield found(Level.OK, str(node), "repmgrd", "is running")


def _shown(node: Node, command: Command, known: Sequence[Member], out: frozenset[int]) -> Finding:
    done = node.host.run(command)
    rows = [(int(row), int(up), int(role)) for row, up, role in _SHOWN.findall(done.stdout)]
    names = {member.node_id: member.name for member in known}
    gone = [names.get(row, str(row)) for row, up, _ in rows if up != 0 and row not in out]
    primaries = [names.get(row, str(row)) for row, up, role in rows if (up, role) == (0, 0)]
    level, text = _judged(gone, primaries)
    if level is Level.OK and done.exit_code != 0:
        text = _issues(node, command, out)
        level = Level.WARNING if text else Level.OK
    text = text or f"{len(rows)} nodes, primary {', '.join(primaries)}"
    hint = f"On {node.host}: {command}"
    return found(level, str(node), "repmgr cluster show", text, hint)


def _judged(gone: Sequence[str], primaries: Sequence[str]) -> tuple[Level, str]:
    if len(primaries) > 1:
        return Level.CRITICAL, f"sees {len(primaries)} primaries: {', '.join(primaries)}"
    if gone:
        return Level.CRITICAL, f"does not reach {', '.join(gone)}"
    if not primaries:
        return Level.CRITICAL, "sees no primary"
    return Level.OK, ""


def _issues(node: Node, command: Command, out: frozenset[int]) -> str:
    """Ask once more without --csv, with which repmgr keeps to itself what it has detected.

    What is only about nodes that are left out is no issue.
    """
    told = replace(command, argv=tuple(word for word in command.argv if word != "--csv"))
    said = node.host.run(told).stderr
    issues = [line.strip(" -") for line in said.splitlines() if line.startswith("  -")]
    if issues:
        return "; ".join(issue for issue in issues if not is_only_about(issue, out))
    return said.strip() or "exits with 25 and does not say why"


def _checked(node: Node, command: Command, out: frozenset[int]) -> Iterator[Finding]:
    done = node.host.run(command)
    rows = [row for row in _CHECKED.findall(done.stdout) if row[0] not in _HEAD]
    wrong = [row for row in rows if row[1] != "OK" and not is_only_about(row[2], out)]
    for item, status, details in wrong:
        level = _STATUSES.get(status, Level.CRITICAL)
        level = min(level, Level.WARNING) if item.endswith(_BOUNDED) else level
        text = details or status
        hint = f"On {node.host}: {command}"
        yield found(level, str(node), f"repmgr node check: {item}", text, hint)
    if not wrong:
        quiet = done.exit_code == 0 or any(row[1] != "OK" for row in rows)
        level = Level.OK if quiet and rows else Level.WARNING
        text = f"{len(rows)} points are OK" if rows else done.stderr.strip() or "said nothing"
        yield found(level, str(node), "repmgr node check", text, f"On {node.host}: {command}")
