"""The actions of a node's return: its own WAL kept, its history rewound, repmgr's rejoin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runbook.actions import Action, Execute, Work
from runbook.errors import RunbookError
from runbook.hosts import Command
from runbook.logical.recovery.mark import NAME as RECOVERED
from runbook.replication.cloning import OWN_FILES, dropping, take_back
from runbook.replication.configuration import copied
from runbook.replication.connection import connection
from runbook.replication.members import repmgr_of, repmgr_program
from runbook.replication.returning import NO_SERVER_SINCE, Return, Way
from runbook.restore.marks import RESTORED
from runbook.run import current
from runbook.standby.mark import COPIED
from runbook.standby.setup import PASSFILE
from runbook.stream.segments import segment_of
from runbook.tools import repmgr
from runbook.watch import log

_THEIRS = (RESTORED, RECOVERED, COPIED, PASSFILE)

# What pg_rewind takes away or overwrites: the WAL from the fork on, what tells the timelines, and
# the node's own configuration. What a run of before has kept is all of it only while no server has
# run here since; else it stays, under another name. Arguments: data directory, where to, first
# segment, what tells whether that is so, names.
_KEEP = """set -eu
cd /
live=$1 kept=$2 first=$3 same=$4; shift 4
if sh -c "$same" same "$kept" "$live"; then exit 0; fi
rm -rf -- "$kept.new"
mkdir -m 700 "$kept.new" "$kept.new/pg_wal" "$kept.new/config"
cp -p "$live/PG_VERSION" "$live/global/pg_control" "$kept.new/"
ls "$live/pg_wal/" | LC_ALL=C awk -v first="$first" \
  '/[.]history$/ || length($0) == 24 && $0 "" >= first ""' |
while read -r name; do cp -p -- "$live/pg_wal/$name" "$kept.new/pg_wal/"; done
for name in "$@" conf.d postgresql.auto.conf postmaster.opts; do
  if [ -e "$live/$name" ]; then cp -pr -- "$live/$name" "$kept.new/config/"; fi
done
sync -f "$kept.new"
if [ -d "$kept" ]; then mv -T "$kept" "$kept-before-$(date +%s)"; fi
mv -T "$kept.new" "$kept"
"""

# A server that crashed finishes its recovery without serving anybody. Where its configuration is
# outside of its data directory, postmaster.opts says where. Arguments: data directory, postgres.
_RECOVER = """set -eu
cd /
live=$1; postgres=$2
config=$(sed -n 's/.*"config_file=\\([^"]*\\)".*/\\1/p' "$live/postmaster.opts" 2>/dev/null || :)
set -- "$postgres" --single -D "$live"
if [ -n "$config" ]; then set -- "$@" -c "config_file=$config"; fi
"$@" template1 </dev/null >/dev/null
"""

# Half a rewind is no data directory: the file tells it, if nobody comes to tell it. The files that
# pg_rewind has copied tell of the primary alone. Arguments: that file, the one for success, what
# both say, data directory, its own configuration or nothing, the names of those files, repmgr.
_REJOIN = """set -eu
cd /
rejoining=$1 rejoined=$2 note=$3 live=$4 own=$5 theirs=$6; shift 6
if [ -n "$own" ]; then printf '%s\n' "$note" >"$rejoining"; sync "$rejoining"; fi
"$@"
if [ -n "$own" ]; then for name in $theirs; do rm -f -- "$live/$name"; done; fi
if [ -d "$own/conf.d" ]; then rm -rf -- "$live/conf.d"; cp -pr -- "$own/conf.d" "$live/"; fi
test -e "$live/standby.signal"
printf '%s\n' "$note" >"$rejoined.new"
sync "$rejoined.new"
mv "$rejoined.new" "$rejoined"
rm -f "$rejoining"
"""


@dataclass(frozen=True)
class Rejoining:
    """A return by repmgr node rejoin, which starts nothing: the start is a step of its own."""

    job: Return

    def keep(self) -> tuple[Action, ...]:
        """Copy what only the node holds out of the way of pg_rewind."""
        job = self.job
        assert job.alone is not None
        assert job.alone.fork is not None
        size = job.primary.identity().wal_segment_size
        first = segment_of(job.alone.timeline, job.alone.fork, size)
        live = job.data.live
        argv = ("sh", "-c", _KEEP, "keep", live, job.kept, first, NO_SERVER_SINCE, *OWN_FILES)
        line = f"cp {live}/pg_wal/{first} and all later WAL, and the configuration, to {job.kept}"
        return (Execute(job.node.host, Command(argv, user=job.node.os_user), shown=line),)

    def actions(self) -> tuple[Action, ...]:
        """Finish a crash recovery, let repmgr judge, then let it rejoin the node."""
        job = self.job
        node, host = job.node, job.node.host
        settings = {"data_directory": job.data.live, "service_start_command": "true"}
        mapping = job.clone.following.mine.mapping
        copy = copied(node, self.job.half.configuration, settings, mapping)
        told = "with service_start_command = true, so that it starts nothing"
        line = f"cp {repmgr_of(node).configuration} {self.job.half.configuration}, {told}"
        rehearsal = self.command(dry_run=True)
        return (
            *(() if job.clean else (self._recovered(),)),
            Execute(host, copy, shown=line),
            Work(host.name, host.shown(rehearsal), lambda: self._rehearsed(rehearsal), False),
            Execute(host, self._rejoin(), shown=host.shown(self.command())),
            Execute(host, self._gone()),
        )

    def command(self, *, dry_run: bool = False) -> Command:
        """Give repmgr's own line."""
        job, node = self.job, self.job.node
        rewinds = job.way is Way.REWIND
        return repmgr.rejoin(
            repmgr_program(node),
            self.job.half.configuration,
            connection(job.clone.following).conninfo,
            user=node.os_user,
            keeping=(*OWN_FILES, "postgresql.auto.conf") if rewinds else (),
            archive=job.kept if rewinds else "",
            dry_run=dry_run,
        )

    @contextmanager
    def nothing_left(self) -> Iterator[None]:
        """Leave no new slot on the primary when the block does not end well."""
        if current().planning:
            yield
            return
        had = self.job.clone.following.slot() is not None
        try:
            yield
        except BaseException:
            self._take_back(had_slot=had)
            raise

    def _recovered(self) -> Action:
        node, live = self.job.node, self.job.data.live
        postgres = node.program("postgres")
        argv = ("sh", "-c", _RECOVER, "recover", live, postgres)
        line = f"{postgres} --single -D {live} template1 </dev/null"
        command = Command(argv, user=node.os_user, leashed=True, shown=line)
        return Execute(node.host, command)

    def _rehearsed(self, command: Command) -> str:
        self.job.node.host.run(command)
        return "prerequisites are met"

    def _rejoin(self) -> Command:
        job, command = self.job, self.command()
        own = f"{job.kept}/config" if job.way is Way.REWIND else ""
        note = job.half.note(own, job.primary)
        state = (job.half.rejoining, job.half.rejoined, note, job.data.live, own, " ".join(_THEIRS))
        argv = ("sh", "-c", _REJOIN, "rejoin", *state, *command.argv)
        return Command(argv, user=command.user, env=command.env, leashed=True)

    def _take_back(self, *, had_slot: bool) -> None:
        job = self.job
        try:
            slot = None if had_slot else job.clone.following.slot()
            if slot is not None and not slot.active:
                take_back(dropping(job.clone, slot.name))
            job.node.host.run(self._gone())
        except RunbookError as error:
            log.warning("%s is left as it is: %s", job, error.message)

    def _gone(self) -> Command:
        return Command(("rm", "-f", "--", self.job.half.configuration), user=self.job.node.os_user)
