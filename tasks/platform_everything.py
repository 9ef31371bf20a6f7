"""Everything of a platform in one export; or, where the client refuses it, packages and jobs."""

from __future__ import annotations

from runbook import ensure, fact, note
from runbook.errors import CheckFailed, CommandFailed
from runbook.platform.everything import Everything
from runbook.platform.places import AllData
from runbook.run import APART, current
from tasks import platform_archives, platform_client
from tasks._task import task

_LISTED_ONLY = "only what the settings list, not everything"


@task("find the client and the store")
def find(data: AllData) -> None:
    """Insist on a client that can be used; tell what is exported if it refuses."""
    platform_client.find(data.client)
    fact("store", data.catalogue)
    fact("if it is refused", ", ".join(map(str, data.things)) or "nothing: the settings name none")
    fact("contents", _checked(data))
    for archives in data.apart:
        if not archives.things:
            note(f"exports.{archives.kind}s is not set: if it is refused, there is no other way")


@task("export everything into one file, and read it back")
def export(data: AllData) -> CommandFailed | None:
    """See that the store has an export of everything by this run; give why it was refused."""
    run, catalogue = current(), data.catalogue
    made = Everything(data.client, catalogue, run.id, data.things)
    with made.unfinished_removed():
        ensure(
            "a verified export of everything by this run lies in the store, or it was refused",
            holds=lambda: made.refused is not None or is_made(data),
            by=made.actions,
        )
    kept = None if run.planning else catalogue.of_run(run.id)
    if kept is not None:
        platform_archives.tell_kept(catalogue, kept, "everything in one file")
    if made.refused is not None:
        run.record("export", role="refused", kind="all", why=str(made.refused), objects=[])
    return made.refused


def apart(data: AllData, refused: CommandFailed | None) -> None:
    """Export packages and jobs apart, if everything in one file was refused."""
    run, planning = current(), current().planning
    if not planning and data.catalogue.of_run(run.id) is not None:
        note("not needed: there is an export by this run")
        return
    why = str(refused) if refused else "it was when this run was at work before"
    note("only if the client refuses step 2" if planning else f"refused: {why}")
    lacking = [f"exports.{each.kind}s" for each in data.apart if not each.things]
    if lacking and planning:
        return
    if lacking:
        raise CheckFailed(
            "the client refuses to export everything, and there is no other way",
            detail=f"{refused}\n{' and '.join(lacking)} not set",
            hint="List packages and jobs by namespace; then they are exported apart.",
        )
    for archives in data.apart:
        platform_archives.export(archives)
    if not planning:
        note(f"apart: {_LISTED_ONLY}")
        run.memory[APART] = _LISTED_ONLY
        run.watcher.finished(
            f"Apart: {_LISTED_ONLY}", f"The client refused the rest:\n\n    {_in(why)}"
        )


@task("clear what interrupted runs left behind")
def clear(data: AllData) -> None:
    """Remove exports that a run of ours began and never finished."""
    platform_archives.clear_in(data.catalogue)
    for archives in data.apart:
        platform_archives.clear_in(archives.catalogue)


@task("remove the exports that the rule no longer keeps")
def prune(data: AllData) -> None:
    """Remove old exports of each kind that this run has made, or in a plan may make."""
    run, keep = current(), data.packages.settings.keep
    undecided = run.planning and not is_made(data)
    if undecided:
        note(
            "of everything only if the client does it, of packages and jobs only if the client "
            "refuses step 2"
        )
    for catalogue in (data.catalogue, *(each.catalogue for each in data.apart)):
        if undecided or catalogue.of_run(run.id) is not None:
            platform_archives.prune_in(catalogue, keep, coming=undecided)


def is_made(data: AllData) -> bool:
    """Tell whether this run has exported everything, in one way or the other."""
    run = current()
    if data.catalogue.of_run(run.id) is not None:
        return True
    return all(each.catalogue.of_run(run.id) is not None for each in data.apart)


def _checked(data: AllData) -> str:
    """Tell which contents of the one file are compared with the settings."""
    unlisted = [f"{each.kind}s" for each in data.apart if not each.things]
    if unlisted:
        return f"{' and '.join(unlisted)} NOT checked against any list: the settings have none"
    return f"checked against the lists of the settings: {len(data.things)} names"


def _in(text: str) -> str:
    return "\n    ".join(text.splitlines())
