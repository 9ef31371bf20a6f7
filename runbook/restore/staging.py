"""Making a restored data directory ready beside the living one: streamed, checked, verified."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.backups.backup import MANIFEST, Backup
from runbook.backups.reading import StoredBackup, Tell
from runbook.errors import Damaged
from runbook.hosts import Command, Host, Local
from runbook.postgres import Node
from runbook.restore.place import Place
from runbook.restore.targets import Targets
from runbook.stream.codecs import Codec
from runbook.stream.facts import BackupFacts
from runbook.stream.lanes import Lane
from runbook.stream.stored import Forward
from runbook.tools import pg_verifybackup, tar

_DECOMPRESSORS = {
    Codec.ZSTD: ("zstd",),
    Codec.LZ4: ("lz4",),
    Codec.GZIP: ("igzip", "pigz", "gzip"),
}

# Scripts with find begin with cd /: it insists on coming back to where it began, and root's home,
# where SSH begins, is closed to postgres.

# A new directory, with the names of the timelines that this server has already had: PostgreSQL
# takes the next free number, so that two restores of one backup never share a timeline. Where the
# old data is removed already, what an earlier run has left unfinished alone holds them; where it is
# put back, what was restored before. Arguments: live, incoming, "same" system or another, what else
# may hold names, --, what else to remove.
_FRESH = """set -eu
cd /
live=$1 incoming=$2 system=$3; shift 3
new=$incoming.new
rm -rf --one-file-system -- "$new"
mkdir -m 700 "$new" "$new/pg_wal"
names_from() {
  if [ "$system" != same ]; then return 0; fi
  for wal in "$1" "$1/pg_wal"; do
    if [ -d "$wal" ]; then
      find "$wal/" -mindepth 1 -maxdepth 1 -name '*.history' \
        -exec cp -pn -t "$new/pg_wal" -- {} +
    fi
  done
}
names_from "$live"
names_from "$incoming"
while [ "$1" != -- ]; do names_from "$1"; shift; done
shift
for unfinished; do names_from "$unfinished"; done
rm -rf --one-file-system -- "$incoming" "$@"
mv -T "$new" "$incoming"
"""

# What takes the incoming directories away, also while the tar of a lost run still writes there.
_CLEAR = """for attempt in 1 2 3 4 5 6 7 8; do
  if rm -rf --one-file-system -- "$@" 2>/dev/null; then exit 0; fi
  sleep 0.5
done
rm -rf --one-file-system -- "$@"
"""

# Takes what belongs to the way the backup was made out of the way of a restored primary. A fork
# recovers to the end of the backup's own WAL and begins a new timeline; whatever target a
# recovery had before is void. Nobody reads meanwhile, unless standbys follow: they need a server
# that was started with hot_standby on. A backup of a restore that was never finished holds these
# settings already: they are no part of it. archive_mode on the command line beats the file: then
# archive_command keeps the WAL here. Arguments: incoming, fork or keep, hot_standby off or
# as is, archiving off or as is.
_PREPARE = """set -eu
cd "$1"; fork=$2 hot_standby=$3 archiving=$4
recovery=$(printf "%s\\n" "restore_command = '/bin/false'" "recovery_target = ''" \
  "recovery_target_lsn = ''" "recovery_target_name = ''" "recovery_target_time = ''" \
  "recovery_target_xid = ''" "recovery_target_timeline = 'current'" \
  "archive_cleanup_command = ''" "recovery_end_command = ''")
rm -f standby.signal recovery.signal backup_manifest
if [ ! -e postgresql.auto.conf ]; then : >postgresql.auto.conf; fi
if grep -qxF "restore_command = '/bin/false'" postgresql.auto.conf; then
  cp -p postgresql.auto.conf pgsql_tmp_auto.conf
  grep -vxF -e "$recovery" -e "hot_standby = off" -e "hot_standby = 'off'" \
    pgsql_tmp_auto.conf >postgresql.auto.conf || [ $? = 1 ]
fi
if [ "$archiving" = off ]; then
  printf "%s\\n" "" "archive_mode = 'off'" "archive_command = '/bin/false'" >>postgresql.auto.conf
fi
if [ "$fork" = fork ]; then
  cp -p postgresql.auto.conf pgsql_tmp_auto.conf
  printf "%s\\n" "" "$recovery" >>postgresql.auto.conf
  if [ "$hot_standby" = off ]; then echo "hot_standby = off" >>postgresql.auto.conf; fi
  : >recovery.signal; chmod --reference=PG_VERSION recovery.signal
else
  rm -f pgsql_tmp_auto.conf
fi
chmod --reference=PG_VERSION postgresql.auto.conf
chmod --reference=global .
"""

# WAL lives on a file system of its own, behind a link: there it goes. Arguments: incoming, the
# WAL's incoming directory, and where that will live.
_RELINK = """set -eu
cd /
rm -rf --one-file-system -- "$2"
mkdir -m 700 "$2"
find "$1/pg_wal/" -mindepth 1 -maxdepth 1 -exec mv -t "$2" -- {} +
rmdir "$1/pg_wal"
ln -s "$3" "$1/pg_wal"
chmod --reference="$1/global" "$2"
"""

_LINK = 'ln -sfn "$1" "$2"'
_WRITE = 'cat >"$1.new" && chmod 600 "$1.new" && mv "$1.new" "$1"'


def fresh(
    node: Node,
    backup: Backup,
    targets: Targets,
    others: tuple[str, ...],
    *,
    same_system: bool,
    kept: tuple[str, ...] = (),
) -> Command:
    """Make the incoming directory anew, and remove what earlier runs have left unfinished.

    `kept`: directories of data or WAL that was set aside; they are only read.
    """
    incoming = targets.data.incoming(backup.id)
    unfinished = (*(path for path in targets.incoming(backup.id) if path != incoming), *others)
    system = "same" if same_system else "other"
    names = (targets.data.live, incoming, system, *kept, "--", *unfinished)
    return Command(("sh", "-c", _FRESH, "fresh", *names), user=node.os_user, leashed=True)


def clear(node: Node, *directories: str) -> Command:
    """Take everything away that was made ready."""
    argv = ("sh", "-c", _CLEAR, "clear", *directories)
    return Command(argv, user=node.os_user, leashed=True)


def link_wal(node: Node, data: str, wal: Place, made: str) -> Command:
    """Move the WAL out of what was made ready, to where the WAL lives behind a link."""
    argv = ("sh", "-c", _RELINK, "relink", data, wal.incoming(made), wal.live)
    return Command(argv, user=node.os_user)


def unpack(
    node: Node, stored: StoredBackup, backup: Backup, targets: Targets, tell: Tell
) -> BackupFacts:
    """Stream every archive from the store into its directory; nothing unchecked is written."""
    for item in backup.archives:
        directory = targets.directory(item.name, backup.id)
        make = Command(("mkdir", "-p", "-m", "700", directory), user=node.os_user)
        node.host.run(make)
        _unpack_one(node, stored, item.name, directory, tell)
    facts = stored.finish().facts
    recorded = (backup.system_identifier, backup.server_version)
    if (str(facts.system_identifier), facts.major_version) != recorded:
        raise Damaged(
            f"backup.json of {backup.id} does not tell the truth about it",
            detail=f"it says system {recorded[0]} and version {recorded[1]}; "
            f"its files are of {facts.system_identifier} and {facts.major_version}",
            hint="Somebody edited it. Use another backup, or adopt this one anew.",
        )
    return facts


def verify_unpacked(node: Node, backup: Backup, targets: Targets, manifest: bytes) -> None:
    """Let pg_verifybackup judge what now lies on the disk, tablespaces included.

    The file system writes down what was unpacked meanwhile, so that `prepare` need not wait for it.
    """
    incoming, user = targets.data.incoming(backup.id), node.os_user
    for oid, place in targets.tablespaces.items():
        link = (place.incoming(backup.id), f"{incoming}/pg_tblspc/{oid}")
        node.host.run(Command(("sh", "-c", _LINK, "link", *link), user=user))
    path = f"{incoming}/{MANIFEST}"
    write = Command(("sh", "-c", _WRITE, "write", path), user=user, stdin=manifest.decode())
    node.host.run(write)
    unpacked = [targets.directory(item.name, backup.id) for item in backup.archives]
    with Lane("sync") as beside:
        beside.give(lambda: _write_down(node, unpacked))
        node.host.run(pg_verifybackup.verify(node.program("pg_verifybackup"), incoming, user=user))


def prepare(
    node: Node,
    backup: Backup,
    targets: Targets,
    *,
    fork: bool,
    archiving: bool,
    replicating: bool = False,
) -> None:
    """Make the unpacked directory one that starts as a primary with its tablespaces in place.

    `archiving`: as the backup's settings say; `replicating`: standbys are to be cloned from it.
    """
    incoming, user = targets.data.incoming(backup.id), node.os_user
    for oid in targets.tablespaces:
        node.host.run(Command(("rm", "-f", f"{incoming}/pg_tblspc/{oid}"), user=user))
    if targets.tablespaces:
        lines = [f"{oid} {place.live}\n" for oid, place in targets.tablespaces.items()]
        write = ("sh", "-c", _WRITE, "write", f"{incoming}/tablespace_map")
        node.host.run(Command(write, user=user, stdin="".join(lines)))
    timeline = "fork" if fork else "keep"
    settings = ("as is" if wanted else "off" for wanted in (replicating, archiving))
    argv = ("sh", "-c", _PREPARE, "prepare", incoming, timeline, *settings)
    node.host.run(Command(argv, user=user))
    if targets.wal is not None:
        node.host.run(link_wal(node, incoming, targets.wal, backup.id))
    _write_down(node, targets.incoming(backup.id))


def _write_down(node: Node, directories: Sequence[str]) -> None:
    node.host.run(Command(("sync", "-f", *directories), user=node.os_user))


def decompressor(host: Host, codec: Codec) -> str:
    """Name the program on the host that decompresses fastest; empty: the worker does it."""
    if isinstance(host.way, Local):
        return ""
    for program in _DECOMPRESSORS.get(codec, ()):
        if host.holds("sh", "-c", 'command -v "$1"', "which", program):
            return program
    return ""


def _unpack_one(node: Node, stored: StoredBackup, name: str, directory: str, tell: Tell) -> None:
    program = decompressor(node.host, Codec.of(name))
    stored_form = bool(program) or Codec.of(name) is Codec.NONE
    archive = stored.archive(name, Forward.STORED if stored_form else Forward.DECODED, tell)
    command = tar.extract(directory, user=node.os_user, decompress=program)
    with node.host.running(command) as process:
        try:
            for piece in archive:
                process.write(piece)
        except BrokenPipeError:
            code = process.wait(30)
            raise node.host.failed(command, code, process.stderr()) from None
        process.close_stdin()
        code = process.wait()
        if code != 0:
            raise node.host.failed(command, code, process.stderr())
    stored.read(archive)
