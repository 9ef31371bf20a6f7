"""Packages and jobs: exported into a store, compared with the platform and imported."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial

from runbook import check, ensure, fact, note
from runbook.actions import Work
from runbook.errors import CheckFailed
from runbook.evidence import Kept, KeptFile
from runbook.platform.catalogue import ExportCatalogue
from runbook.platform.export import Export, ExportedFile
from runbook.platform.exporting import Exporting
from runbook.platform.importing import Importing, State
from runbook.platform.places import Archives
from runbook.run import current
from runbook.units import readable_bytes
from tasks import platform_client
from tasks._task import task

_NAMESPACE = re.compile(r"/[A-Za-z0-9_./-]*")


@task("find the client, the store, and what is to be exported")
def find(archives: Archives) -> None:
    """Insist on a client that can be used, and on something to export."""
    platform_client.find(archives.client)
    fact("store", archives.catalogue)
    if not archives.things:
        raise CheckFailed(
            f"the settings name no {archives.kind} to export",
            hint=f"List them by namespace: exports.{archives.kind}s.",
        )
    fact(f"{archives.kind}s", ", ".join(map(str, archives.things)))


@task("clear what interrupted runs left behind")
def clear(archives: Archives) -> None:
    """Remove exports that a run of ours began and never finished."""
    clear_in(archives.catalogue)


@task("export every one, and read every archive back")
def export(archives: Archives) -> None:
    """See that the store has a whole export by this run."""
    run, catalogue = current(), archives.catalogue
    made = Exporting(archives.client, catalogue, run.id, archives.kind, archives.things)
    with made.unfinished_removed():
        ensure(
            f"a verified export of every {archives.kind} by this run lies in the store",
            holds=lambda: catalogue.of_run(run.id) is not None,
            by=made.actions,
        )
    kept = None if run.planning else catalogue.of_run(run.id)
    if kept is not None:
        tell_kept(catalogue, kept, f"{archives.kind}s of {archives.cluster}")


@task("remove the exports that the rule no longer keeps")
def prune(archives: Archives) -> None:
    """Remove old exports; the newest remain."""
    run, catalogue = current(), archives.catalogue
    coming = run.planning and catalogue.of_run(run.id) is None
    prune_in(catalogue, archives.settings.keep, coming=coming)


@task("find the archives to import")
def wanted(archives: Archives, version: str, name: str, into: str) -> Importing:
    """Give an export, or one thing of it; every archive is read whole."""
    platform_client.find(archives.client)
    check(
        "what override names is a namespace",
        lambda: not into or _NAMESPACE.fullmatch(into) is not None,
        seen=lambda: repr(into),
        hint="A namespace begins with a slash, such as /acme/pkg/runtimes.",
    )
    export = archives.catalogue.get(version)
    files = tuple(file for file in export.files if name in ("", file.name))
    if not files:
        raise CheckFailed(
            f"export {export.id} in {archives.catalogue} has no {archives.kind} {name}",
            detail=f"it has: {', '.join(file.name for file in export.files)}",
            hint="Name another version or another name.",
        )
    job = Importing(archives.client, archives.catalogue, archives.kind, export, files, into)
    targets = Counter(str(job.target(file)) for file in files)
    twice = [target for target, times in targets.items() if times > 1]
    check(
        "every archive has a target of its own",
        lambda: not twice,
        seen=lambda: f"of several namespaces, and one with override: {', '.join(twice)}",
        hint="Nothing was imported. Import them by name, into different namespaces.",
    )
    fact("imported from", f"{archives.catalogue}, version {export.id}")
    for file in files:
        job.insist_on_whole(file)
    return job


@task("compare the archives with the cluster")
def compare(job: Importing, *, skip_existing: bool) -> tuple[ExportedFile, ...]:
    """Tell new, same and different; give the new ones. A clash is refused unless skipped."""
    found: dict[State, list[ExportedFile]] = defaultdict(list)
    for file in job.files:
        found[job.state(file)].append(file)
    states: tuple[State, ...] = ("new", "same", "different")
    for state in states:
        fact(state, ", ".join(str(job.target(file)) for file in found[state]) or "none")
    clash = [str(job.target(file)) for file in found["different"]]
    check(
        "no other content has the name of one of them, or skip_existing was chosen",
        lambda: skip_existing or not clash,
        seen=lambda: f"exists with other content: {', '.join(clash)}",
        hint="The client replaces nothing. Import into another namespace (override), leave these "
        "out (skip_existing), or remove them from the cluster first.",
    )
    for thing in clash:
        note(f"{thing} exists with other content, and stays as it is")
    return tuple(found["new"])


@task("import what is new, export it and compare")
def take_in(job: Importing, new: tuple[ExportedFile, ...], *, skip_existing: bool) -> None:
    """See that the platform has everything that it lacked; tell for the record what came."""
    ensure(
        "an export of everything that was new has the same content",
        holds=lambda: all(job.state(file) == "same" for file in new),
        by=lambda: job.actions(new, skip_existing=skip_existing),
    )
    if not current().planning:
        _tell(job.export, new, "imported", f"{job.kind}s into {job.into or 'their namespaces'}")


def clear_in(catalogue: ExportCatalogue) -> None:
    """Remove what a run of ours began in a place and never finished."""
    left = catalogue.leftovers()
    for stamp in left:
        _remove(catalogue, stamp, f"the unfinished export {stamp} is gone", catalogue.leftovers)
    if not left:
        note("no interrupted run has left anything behind")


def prune_in(catalogue: ExportCatalogue, keep: int, *, coming: bool) -> None:
    """Remove old exports from a place."""
    old = partial(catalogue.expendable, keep, coming=coming)
    going = old()
    for stamp in going:
        _remove(catalogue, stamp, f"the old export {stamp} is gone", old)
    if not going:
        note("nothing may go")


def tell_kept(catalogue: ExportCatalogue, export: Export, title: str) -> None:
    """Tell for the record what was kept, and where it lies."""
    _tell(export, export.files, "kept", title)
    files = tuple(KeptFile(each.file, each.size, each.sha256) for each in export.files)
    where, at = f"{catalogue}/{export.id}", export.finished
    verified = min(each.verified or at for each in export.files)
    current().kept.append(Kept(f"version {export.id}", (where,), files, verified, at))


def _tell(export: Export, files: tuple[ExportedFile, ...], role: str, title: str) -> None:
    objects = [{"name": each.file, "size": each.size, "sha256": each.sha256} for each in files]
    run = current()
    run.record("export", role=role, kind=export.kind, version=export.id, objects=objects)
    head = f"Version `{export.id}`\n\n| {export.kind} | size | SHA-256 |\n|---|---|---|"
    rows = [
        f"| {each.namespace}::{each.name} | {readable_bytes(each.size)} | `{each.sha256}` |"
        for each in files
    ]
    run.watcher.finished(title, "\n".join([head, *rows]))


def _remove(
    catalogue: ExportCatalogue, stamp: str, goal: str, left: Callable[[], tuple[str, ...]]
) -> None:
    ensure(
        goal,
        holds=lambda: stamp not in left(),
        by=[Work(str(catalogue), f"remove {stamp}", partial(_removed, catalogue, stamp))],
    )


def _removed(catalogue: ExportCatalogue, stamp: str) -> str:
    catalogue.remove(stamp)
    return f"removed {stamp}"
