"""Files of an Orchestrator's backups: what interrupted runs left, and what retention lets go."""

from __future__ import annotations

from functools import partial

from runbook import ensure, note
from runbook.actions import Work
from runbook.orchestrator.backup import OrchestratorBackup
from runbook.orchestrator.catalogue import Files, OrchestratorCatalogue
from runbook.orchestrator.mark import Marked
from runbook.orchestrator.places import Places
from runbook.orchestrator.retention import expendable
from runbook.run import current
from runbook.units import readable_bytes
from tasks._task import task


@task("clear what interrupted runs left behind")
def clear_leftovers(places: Places) -> None:
    """Remove what a run of ours began and never finished, on the Orchestrator and in the store."""
    left, vault = places.workshop.left(), places.vault
    unfinished, cut = vault.leftovers(), vault.cut()
    if left:
        ensure(
            f"archives of interrupted runs are gone from {places.workshop}",
            holds=lambda: not places.workshop.left(),
            by=[
                Work(
                    str(places.workshop),
                    f"rm -rf -- {' '.join(left)}",
                    partial(_clear_host, places),
                )
            ],
        )
    for files in unfinished:
        _clear(vault, files)
    if cut:
        ensure(
            f"files in {vault} that were being written when their run ended are gone",
            holds=lambda: not vault.cut(),
            by=[Work(str(vault), f"rm {' '.join(cut)}", partial(_clear_cut, vault))],
        )
    if not (left or unfinished or cut):
        note("no interrupted run has left anything behind")


@task("remove backups that the rule no longer keeps")
def prune(places: Places) -> None:
    """Remove old backups, only where this run's own is verified."""
    run, vault, keep = current(), places.vault, places.live.settings.keep
    made = vault.of_run(run.id)
    going: tuple[OrchestratorBackup, ...] = ()
    if made is not None or run.planning:
        sound = {backup.id for backup in vault.sound()}
        going = expendable(_of_this_machine(places), keep=keep, sound=sound, coming=made is None)
    for backup in going:
        ensure(
            f"backup {backup.id} is gone from {vault}",
            holds=partial(_is_gone, vault, backup),
            by=[
                Work(
                    str(vault),
                    f"remove {backup.id} with its {readable_bytes(backup.size)}",
                    partial(_dropped, vault, backup),
                )
            ],
        )
    if not going:
        note(f"nothing may go: the newest {keep} remain")


def _of_this_machine(places: Places) -> list[OrchestratorBackup]:
    """List the backups that count: a new machine's nights must not push out those of a lost one.

    VMs of one image have the same system identifier. What was restored here is of a lost one, too.
    """
    live, mark = places.live, Marked(places.live).read()
    known = places.vault.backups()
    ours = [
        backup
        for backup in known
        if (backup.system_identifier, backup.node)
        == (live.identity.system_identifier, live.node.name)
        and not (mark and mark.backup == backup.id)
    ]
    others = [backup.id for backup in known if backup not in ours]
    if others:
        told = "of another machine, or what this one was restored from, and left alone in"
        note(f"{told} {places.vault}: {', '.join(others)}")
    return ours


def _clear(vault: OrchestratorCatalogue, files: Files) -> None:
    goal = f"the unfinished {files.id} of an interrupted run is gone from {vault}"
    deed = f"remove {files.id} with its {readable_bytes(files.size)}"
    if files.is_whole:
        goal = f"{files.id} in {vault}, which is whole, no longer bears a run's mark"
        deed = f"remove the mark of {files.id}"
    ensure(
        goal,
        holds=lambda: files.id not in {left.id for left in vault.leftovers()},
        by=[Work(str(vault), deed, partial(_cleared, vault, files))],
    )


def _cleared(vault: OrchestratorCatalogue, files: Files) -> str:
    vault.clear(files)
    return f"cleared {files.id}"


def _clear_host(places: Places) -> str:
    return f"removed {places.workshop.clear_left()} folders"


def _clear_cut(vault: OrchestratorCatalogue) -> str:
    return f"removed {vault.clear_cut()} files"


def _is_gone(vault: OrchestratorCatalogue, backup: OrchestratorBackup) -> bool:
    return backup.id not in {files.id for files in vault.found()}


def _dropped(vault: OrchestratorCatalogue, backup: OrchestratorBackup) -> str:
    for files in vault.found():
        if files.id == backup.id:
            vault.remove(files)
    return f"removed {backup.id}"
