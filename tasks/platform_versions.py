"""Versions of documents in their place: kept when anything has changed, pruned, told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from runbook import ensure, fact, note
from runbook.actions import Work
from runbook.errors import Damaged
from runbook.evidence import Kept, KeptFile
from runbook.platform.documents import Comparison, Documents, digest
from runbook.platform.export import Kind
from runbook.platform.versions import Version, VersionedPlace
from runbook.run import current
from tasks._task import task

_NONE = Version("", {})


@task("clear what interrupted runs left behind")
def clear(place: VersionedPlace) -> None:
    """Remove versions that a run of ours began and never finished."""
    left = place.leftovers()
    for version in left:
        _remove(place, version, f"the unfinished export {version} is gone", place.leftovers)
    if not left:
        note("no interrupted run has left anything behind")


@task("keep the documents if anything has changed")
def keep(place: VersionedPlace, documents: Documents, title: str) -> None:
    """See that the newest version is these documents; tell what is new, changed and gone."""
    found = Comparison(documents, newest(place).ours(documents))
    text = f"{title}: {summary(found)}"
    ensure(
        "the newest version is what was read",
        holds=lambda: has(place, documents),
        by=[
            Work(
                str(place),
                place.shown(text),
                lambda: place.keep(documents, text, current().id),
            )
        ],
    )


@task("remove the exports that the rule no longer keeps")
def prune(place: VersionedPlace, keep: int, documents: Documents) -> None:
    """Remove old exports from a store; a repository keeps everything."""
    coming = current().planning and not has(place, documents)
    old = partial(place.prune, keep, coming=coming)
    going = old()
    for version in going:
        _remove(place, version, f"the old export {version} is gone", old)
    if not going:
        note("nothing may go")


def find(place: VersionedPlace) -> Version:
    """Tell the place and its newest version; one that cannot be read counts as none."""
    fact("place", place)
    try:
        found = place.version("latest")
    except Damaged as error:
        note(f"the newest version cannot be read, a new one is kept: {error.message}")
        found = _NONE
    fact("newest version there", found.id or "none")
    return found


def newest(place: VersionedPlace) -> Version:
    """Give the newest version; none where it cannot be read."""
    try:
        return place.version("latest")
    except Damaged:
        return _NONE


def has(place: VersionedPlace, documents: Documents) -> bool:
    """Tell whether the newest version is these documents, byte by byte."""
    return newest(place).ours(documents) == documents


def tell(place: VersionedPlace, version: Version, kind: Kind, role: str) -> None:
    """Write down every document with its checksum."""
    run, documents = current(), sorted(version.documents.items())
    rows = [(f"{name}{place.ending}", len(text), digest(text)) for name, text in documents]
    objects = [{"name": name, "size": size, "sha256": sum_} for name, size, sum_ in rows]
    files = tuple(KeptFile(*row) for row in rows)
    run.kept.append(Kept(f"version {version.id}", (str(place),), files, datetime.now(UTC)))
    run.record("export", role=role, kind=kind, version=version.id, objects=objects)
    head = f"Version `{version.id}`\n\n| document | bytes | SHA-256 |\n|---|---|---|"
    lines = [f"| {name} | {size} | `{sum_}` |" for name, size, sum_ in rows]
    run.watcher.finished(f"{kind} of {run.cluster}: {role}", "\n".join([head, *lines]))


def summary(found: Comparison) -> str:
    """Tell in one line what is new, changed and removed."""
    parts = {"new": found.new, "changed": found.different, "removed": found.others}
    said = (f"{word} {', '.join(names)}" for word, names in parts.items() if names)
    return "; ".join(said) or "nothing has changed"


def _remove(
    place: VersionedPlace, version: str, goal: str, left: Callable[[], tuple[str, ...]]
) -> None:
    ensure(
        goal,
        holds=lambda: version not in left(),
        by=[Work(str(place), f"remove {version}", lambda: place.remove(version))],
    )
