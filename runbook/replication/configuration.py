"""repmgr.conf of a node: what it says, and a copy of it for work beside the living data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from runbook.errors import CheckFailed
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.replication.members import repmgr_of

_SETTING = re.compile(
    r"^\s*(\w+)\s*=\s*(?:'((?:[^']|'')*)'|([^#\s]+))", flags=re.MULTILINE | re.ASCII
)

# Everything stays as it is but where the data goes and how the server is started. A directory for
# the WAL is where the old WAL still lies. Arguments: repmgr.conf, copy; the new lines on stdin.
_COPY = """set -eu
umask 077
sed -E -e '/^[ \t]*(data_directory|tablespace_mapping|service_start_command)[ \t]*=/d' \
  -e '/^[ \t]*pg_basebackup_options/s/--(waldir|xlogdir)[= \t]+[^ \t'"'"']+//' \
  -- "$1" >"$2.new"
cat >>"$2.new"
mv "$2.new" "$2"
"""


@dataclass(frozen=True)
class Configuration:
    """What repmgr.conf of a node says; `mapping` is where the primary's tablespaces go there."""

    path: str
    node_id: int
    node_name: str
    data_directory: str
    uses_slots: bool
    mapping: Mapping[str, str] = field(default_factory=dict)

    @property
    def slot(self) -> str:
        """Name the slot that repmgr makes for the node on its upstream."""
        return f"repmgr_slot_{self.node_id}"


def configuration(node: Node) -> Configuration:
    """Read a node's repmgr.conf; the server need not run."""
    path = repmgr_of(node).configuration
    return parsed(f"{path} on {node.host}", node.host.read("cat", path, user=node.os_user))


def parsed(path: str, text: str) -> Configuration:
    """Read the text of a repmgr.conf; CheckFailed when a standby cannot be cloned with it."""
    found: dict[str, str] = {}
    mapping: dict[str, str] = {}
    for name, quoted, plain in _SETTING.findall(text):
        value = quoted.replace("''", "'") or plain
        found[name] = value
        if name == "tablespace_mapping":
            old, _, new = value.partition("=")
            mapping[old.rstrip("/")] = new.rstrip("/")
    lacking = [name for name in ("node_id", "node_name", "data_directory") if not found.get(name)]
    if lacking:
        raise CheckFailed(
            f"{path} has no {' and no '.join(lacking)}",
            hint="Is it the node's repmgr.conf? repmgr needs them to clone a standby.",
        )
    return Configuration(
        path=path,
        node_id=int(found["node_id"]),
        node_name=found["node_name"],
        data_directory=found["data_directory"].rstrip("/"),
        uses_slots=found.get("use_replication_slots", "no").lower() in ("yes", "true", "on", "1"),
        mapping=mapping,
    )


def copied(
    node: Node, copy: str, settings: Mapping[str, str], mapping: Mapping[str, str]
) -> Command:
    """Write a copy of the node's repmgr.conf with other settings and tablespace mappings.

    With -f, repmgr takes data_directory from its file whatever -D says: for work in another
    directory it needs another file.
    Ref.: repmgr documentation, repmgr standby clone
    """
    lines = [f"{name} = '{_quoted(value)}'" for name, value in settings.items()]
    lines += [f"tablespace_mapping = '{_quoted(f'{a}={b}')}'" for a, b in mapping.items()]
    argv = ("sh", "-c", _COPY, "copy", repmgr_of(node).configuration, copy)
    return Command(argv, user=node.os_user, stdin="\n".join(["", *lines, ""]))


def _quoted(value: str) -> str:
    return value.replace("'", "''")
