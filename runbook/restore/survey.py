"""What is found on a node before a restore: directories, room, identity, tablespaces."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from runbook.backups.backup import Backup
from runbook.backups.catalogue import Catalogue
from runbook.backups.reading import stored_backup
from runbook.errors import CommandFailed, SettingsError, Unreachable
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.postgres.state import Identity
from runbook.restore.marks import read_mark
from runbook.restore.place import Look, look, tablespace_place, whole_place
from runbook.restore.reserve import Reserve, reserve_for
from runbook.restore.room import parts, shortage
from runbook.restore.targets import Targets

# Where the links of a data directory point, or will point once its server has started.
_OWN = """for link in "$1"/pg_tblspc/*; do readlink "$link"; done
for map in "$1/tablespace_map" "$2/tablespace_map"; do
  if [ -e "$map" ]; then cut -d ' ' -f 2- "$map"; fi
done; true
"""

# Where the tablespaces of the other servers on the host lie.
_OTHERS = """for process in /proc/[0-9]*; do
  read -r name <"$process/comm" || continue
  case $name in postgres|postmaster) ;; *) continue;; esac
  if [ "$process/cwd" -ef "$1" ]; then continue; fi
  for link in "$process"/cwd/pg_tblspc/*; do
    if [ -L "$link" ]; then readlink -f "$link"; fi
  done
done 2>/dev/null; true
"""


@dataclass(frozen=True)
class Survey:
    """The places of a restore as they were found.

    `begun` tells that a run of this restore has made it ready, or put it in place, already: then
    the places are as that run left them. `running` is the server that answers, if one does;
    `reserve` the room that a server needs which lives there, whether or not it answers;
    `short_for_it` that there would be room without it.
    `archiving_off`: the old data's own settings say so.
    """

    data: Look
    targets: Targets
    spaces: dict[int, Look]
    own_locations: frozenset[str]
    other_locations: frozenset[str]
    begun: bool
    short_of: str
    short_for_it: bool
    reserve: Reserve
    program_major: str
    system_identifier: str
    archiving_off: bool
    running: Identity | None


def survey(
    node: Node,
    backup: Backup,
    catalogue: Catalogue | None,
    tablespace_map: str,
    *,
    again: bool = False,
) -> Survey:
    """Look at everything that a restore of this backup would touch; reads only.

    Without the catalogue nobody asks for room: the backup itself does not go there. `again`: a
    restore that has come to its end is data like any other.
    """
    host, user = node.host, node.os_user
    data = look(host, _plain(node.directory()), user)
    mapping = parse_tablespace_map(tablespace_map)
    _insist_on_mapped(mapping, backup)
    places = {
        space.oid: tablespace_place(
            _plain(mapping.get(space.location, space.location)), backup.server_version
        )
        for space in backup.tablespaces
    }
    incoming = whole_place(data).incoming(backup.id)
    holder = data if data.version else look(host, incoming, user)  # the old data may be aside
    link = data.wal_link or holder.wal_link
    wal = look(host, link, user) if link else None
    targets = Targets(whole_place(data), places, whole_place(wal) if wal else None)
    spaces = {oid: look(host, place.live, user) for oid, place in places.items()}
    marks = [read_mark(host, incoming, user), read_mark(host, targets.data.live, user)]
    begun = any(
        (mark.backup, mark.places) == (backup.id, str(targets))
        for mark in marks
        if mark is not None and not (again and mark.finished is not None)
    )
    running = _running(node)
    looks = [data, *filter(None, [wal]), *spaces.values()]
    kept_free = catalogue is not None and (running is not None or not node.is_stopped())
    reserve = reserve_for(node, _lived_on(node, looks)) if kept_free else Reserve(node, {})
    needs = _needs(backup, catalogue, data, spaces, wal) if catalogue and not begun else []
    return Survey(
        data=data,
        targets=targets,
        spaces=spaces,
        own_locations=own_locations(node, targets.data.live, incoming),
        other_locations=_lines(node, _OTHERS, targets.data.live),
        begun=begun,
        short_of=shortage(needs, reserve.kept),
        short_for_it=bool(shortage(needs, reserve.kept)) and not shortage(needs),
        reserve=reserve,
        program_major=_program_major(node),
        system_identifier=running.system_identifier if running else _identifier(node, data),
        archiving_off=_archiving_off(node, data),
        running=running,
    )


def parse_tablespace_map(text: str) -> dict[str, str]:
    """Read OLDDIR=NEWDIR pairs, separated by commas, as pg_basebackup's option takes one each."""
    pairs: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        old, equals, new = pair.partition("=")
        if not equals or not old.startswith("/") or not new.startswith("/"):
            raise SettingsError(
                f"cannot read the tablespace mapping {pair!r}",
                detail=f"in tablespace_map={text}",
                hint="Write OLDDIR=NEWDIR, both absolute, pairs separated by commas.",
            )
        pairs[old.rstrip("/")] = new.rstrip("/")
    return pairs


def _insist_on_mapped(mapping: dict[str, str], backup: Backup) -> None:
    known = [space.location for space in backup.tablespaces]
    unknown = sorted(set(mapping) - set(known))
    if unknown:
        raise SettingsError(
            f"{backup.id} has no tablespace in {', '.join(unknown)}",
            detail=f"its tablespaces: {', '.join(known) or 'none'}",
            hint="Correct tablespace_map: the left side is the directory at the backup's time.",
        )


def own_locations(node: Node, live: str, incoming: str) -> frozenset[str]:
    """List the tablespaces' directories of a data directory, and of what is made ready for it."""
    return _lines(node, _OWN, live, incoming)


def _plain(directory: str) -> str:
    """Refuse what can never be the data of one server."""
    plain = directory.rstrip("/")
    if not plain.startswith("/") or posixpath.normpath(plain) != plain:
        raise SettingsError(
            f"{directory or 'nothing'!r} cannot be a data directory",
            detail="it is not an absolute path below /, or not in its shortest form",
            hint="Correct it: data_directory in the inventory, or tablespace_map.",
        )
    return plain


def _needs(
    backup: Backup, catalogue: Catalogue, data: Look, spaces: dict[int, Look], wal: Look | None
) -> list[tuple[Look, int]]:
    base, of_spaces, of_wal = parts(stored_backup(catalogue, backup).manifest)
    needs = [(data, base), (wal or data, of_wal)]
    needs += [(seen, of_spaces.get(oid, 0)) for oid, seen in spaces.items()]
    return needs


def _lived_on(node: Node, looks: Sequence[Look]) -> list[Look]:
    """Leave out where nothing of the living server lies: its data, first, WAL or tablespaces."""
    host, user, live = node.host, node.os_user, looks[0].real
    own = [look(host, place, user) for place in own_locations(node, live, live)]
    wal = [look(host, looks[0].wal_link, user)] if looks[0].wal_link else []
    devices = {seen.device for seen in (looks[0], *wal, *own)}
    return [seen for seen in looks if seen.device in devices]


def _lines(node: Node, script: str, *arguments: str) -> frozenset[str]:
    text = node.host.read("sh", "-c", script, "links", *arguments, user=node.os_user)
    return frozenset(text.split("\n")) - {""}


def _program_major(node: Node) -> str:
    """Ask the server program on the node for its major version."""
    text = node.host.read(node.program("postgres"), "--version", user=node.os_user)
    version = next((word for word in text.split() if word[:1].isdigit()), "")
    return version.partition(".")[0]


def _running(node: Node) -> Identity | None:
    """Ask the server who it is; None where none answers, or it is too damaged to say it."""
    try:
        return node.identity()
    except Unreachable:
        return None
    except CommandFailed as error:
        if node.attempt_sql("SHOW is_superuser", timeout=10).stdout.strip() == "on":
            return None
        hint = "Where it is damaged: stop it by hand and start again; the control file is asked."
        raise CommandFailed(error.message, detail=error.detail, hint=error.hint or hint) from error


def _archiving_off(node: Node, data: Look) -> bool:
    """Tell whether a restore, or a person, has switched archiving off in the data directory."""
    pattern, path = "^ *archive_mode *=* *'*off", f"{data.real}/postgresql.auto.conf"
    return node.host.holds("grep", "-qs", "-e", pattern, path, user=node.os_user)


def _identifier(node: Node, data: Look) -> str:
    """Ask the control file which database system this is; empty if there is none to be read."""
    if not data.version:
        return ""
    command = Command(
        (node.program("pg_controldata"), "-D", data.real),
        user=node.os_user,
        env=(("LC_ALL", "C"),),
        timeout=60,
    )
    done = node.host.attempt(command)
    rows = (row.partition(":") for row in done.stdout.splitlines())
    return next((value.strip() for name, _, value in rows if name.endswith("identifier")), "")
