"""Reading stored logical backups again: does the key that we keep still open them?"""

from __future__ import annotations

from runbook import check, ensure, fact, note
from runbook.actions import Work
from runbook.cluster import Cluster
from runbook.logical.catalogue import DumpCatalogue
from runbook.logical.evidence import on_record
from runbook.logical.reading import StoredDump
from runbook.logical.verifying import verified
from runbook.run import current
from runbook.units import readable_bytes
from tasks._task import task


@task("choose the backup {wanted}")
def choose(catalogue: DumpCatalogue, wanted: str) -> StoredDump:
    """Find the backup that shall be verified."""
    chosen = catalogue.choose(wanted)
    metadata = chosen.metadata
    fact("backup", f"{chosen.name}, {readable_bytes(chosen.size)}")
    if metadata is None:
        note(f"{chosen.name} has no record of ours: gzip's checksum and its last line must do")
    else:
        fact("encryption", f"{metadata.format}, key {metadata.key_name!r}")
    return chosen


@task("open {dump.name} to its last byte")
def verify(catalogue: DumpCatalogue, cluster: Cluster, dump: StoredDump) -> None:
    """Read every byte with the keys of the settings."""
    run = current()
    check(
        "the settings have keys to open it with",
        lambda: any(key.get_secret_value() for key in cluster.encryption_keys.values()),
        hint="Without its key a backup is lost: add it to encryption_keys.",
    )
    ensure(
        f"{dump.name} was opened and read to its last byte by this run",
        holds=lambda: run.memory.get("verified") == str(dump.name),
        by=[
            Work(
                str(catalogue),
                f"read {dump.name}: parts, key, gzip, last line",
                lambda: _verified(cluster, dump),
                changes=False,
            )
        ],
    )


def _verified(cluster: Cluster, dump: StoredDump) -> str:
    run, title, metadata = current(), f"verification of {dump.name}", dump.metadata
    total = metadata.dump_size if metadata else 0
    seen = verified(dump, cluster.encryption_keys, lambda done: run.progress(title, done, total))
    run.progress(title, seen.size, seen.size, finished=True)
    if seen.refused is not None:
        raise seen.refused
    run.memory["verified"] = str(dump.name)
    if metadata is not None:
        on_record(run, metadata, "verified")
    return f"{dump.name} is whole: {readable_bytes(seen.size)}"
