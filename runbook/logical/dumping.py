"""Taking a logical backup: pg_dumpall on the node, through the worker, into the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from pydantic import SecretStr

from runbook.actions import Action, Work
from runbook.cluster import Cluster
from runbook.errors import RunbookError
from runbook.hosts import Command
from runbook.hosts.process import gathered
from runbook.logical.catalogue import DumpCatalogue
from runbook.logical.metadata import LogicalMetadata
from runbook.logical.names import BackupName, new_name
from runbook.logical.recipe import described
from runbook.logical.verifying import verified
from runbook.logical.writing import DumpWriter, PartsWriter, encryptor
from runbook.postgres import Node
from runbook.restore.reserve import Reserve
from runbook.run import current
from runbook.stream.lanes import Lane
from runbook.tools import pg_dumpall
from runbook.units import readable_bytes, readable_seconds
from runbook.watch import log

_PIECE = 512 << 10
_SHOWN = "$(date +%s%3N)"
_CIPHERS = {
    "openssl": "openssl enc -aes256 -md md5 -pass pass:***",
    "age": "age -e -i ***",
}


@dataclass
class LogicalDump:
    """One backup on its way: dumped, read back, and only then entered."""

    cluster: Cluster
    node: Node
    catalogue: DumpCatalogue
    one_object: bool
    run_id: str
    expected: int
    """About how many bytes the dump will have, for people who watch."""
    reserve: Reserve
    made: BackupName | None = field(default=None, init=False)
    _draft: LogicalMetadata | None = field(default=None, init=False)

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does."""
        settings, store = self.catalogue.settings, self.catalogue.store
        shown = f"{settings.prefix}{settings.guid}-{_SHOWN}"
        line = " | ".join(
            (
                self.node.host.shown(self._command("pg-runbooks")),
                "gzip",
                _CIPHERS[settings.format],
                f"cat > {store}/{shown}"
                if self.one_object
                else f"split -d -b {settings.part_bytes} - {store}/{shown}-",
            )
        )
        return (
            Work(self.node.host.name, line, self._dump),
            Work(str(store), f"read {shown} back: parts, key, gzip, last line", self._verify),
            Work(str(store), f"write {shown}.json", self._enter),
        )

    def _command(self, name: str) -> Command:
        return pg_dumpall.dump(
            self.node.program("pg_dumpall"),
            user=self.node.server_user,
            port=self.node.port,
            socket=self.node.socket_directory,
            name=name,
        )

    def _dump(self) -> str:
        began = datetime.now(UTC)
        name = self.made = new_name(self.catalogue.settings.guid, began)
        self.catalogue.begin(name, self.run_id)
        settings, prefix = self.catalogue.settings, self.catalogue.settings.prefix
        limit = 0 if self.one_object else settings.part_bytes
        with (
            PartsWriter(self.catalogue.store, prefix, name, limit) as parts,
            closing(encryptor(settings, self._key)) as cipher,
        ):
            writer = DumpWriter(parts, cipher)
            warned = self._stream(name, writer)
            writer.finish()
        self._draft = described(
            self.cluster,
            self.node,
            settings,
            name=name,
            writer=writer,
            parts=parts.written,
            began=began,
            run_id=self.run_id,
        )
        seconds = readable_seconds(self._draft.seconds)
        told = f"{name}: {readable_bytes(writer.size)} in {readable_bytes(self._draft.stored_size)}"
        return f"{told}, {seconds}{warned}"

    def _stream(self, name: BackupName, writer: DumpWriter) -> str:
        """Pass on what pg_dumpall writes; its exit code decides, and its warnings are told."""
        run, title = current(), f"dump {name}"
        command = self._command(str(name))
        size = 0
        with Lane("dump") as lane, self.node.console.running(command) as process:
            for piece in gathered(process, _PIECE):
                lane.give(partial(writer.feed, piece))
                size += len(piece)
                run.progress(title, size, self.expected)
                self.reserve.watch()
            code, said = process.wait(), process.stderr().strip()
            if code != 0:
                raise self.node.console.failed(command, code, said)
        run.progress(title, size, size, finished=True)
        return f"; pg_dumpall says: {said[-500:]}" if said else ""

    def _verify(self) -> str:
        assert self._draft is not None
        assert self.made is not None
        run, title, total = current(), f"verification of {self.made}", self._draft.dump_size
        seen = verified(
            self.catalogue.draft(self.made, self._draft),
            self.cluster.encryption_keys,
            lambda done: run.progress(title, done, total),
        )
        refused = str(seen.refused) if seen.refused else ""
        self._draft = self._draft.model_copy(
            update={"verified": datetime.now(UTC), "rows": seen.rows, "refused": refused}
        )
        run.progress(title, seen.size, seen.size, finished=True)
        rows = sum(sum(tables.values()) for tables in seen.rows.values())
        told = f"{self.made} is whole: {readable_bytes(seen.size)}, {rows} rows"
        return f"{told}; it holds what must not be loaded: {refused}" if refused else told

    def _enter(self) -> str:
        assert self._draft is not None
        assert self.made is not None
        self.catalogue.enter(self.made, self._draft)
        return f"{self.made} is a backup"

    @property
    def _key(self) -> SecretStr:
        return self.cluster.encryption_keys[self.catalogue.settings.key]


@contextmanager
def unfinished_removed(catalogue: DumpCatalogue, job: LogicalDump) -> Iterator[None]:
    """Remove what the job began when the block does not end well, whatever ends it."""
    try:
        yield
    except BaseException:
        try:
            for left in catalogue.leftovers():
                if left.name == job.made and not left.whole:
                    catalogue.clear(left)
        except RunbookError as error:  # must not hide why it ended
            log.warning("%s stays behind, the next run clears it: %s", job.made, error.message)
        raise
