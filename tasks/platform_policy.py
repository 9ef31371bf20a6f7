"""Policy documents: exported, kept under version control, compared and imported."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import closing
from functools import partial

from runbook import Need, check, ensure, fact, note
from runbook.actions import Work
from runbook.errors import CheckFailed
from runbook.platform.documents import (
    ENDING,
    Comparison,
    Documents,
    named,
    whole,
)
from runbook.platform.places import Policies
from runbook.platform.versions import Version
from runbook.run import current
from runbook.tools import apc
from tasks import platform_client, platform_versions
from tasks._task import task

_REPLACED = "replaced/"
"""What the version begins with that an import has kept before it replaced anything."""


@task("find the client and the place of the policy documents")
def find(policies: Policies) -> None:
    """Insist on a client that can be used; tell the place and its newest version."""
    platform_client.find(policies.client)
    platform_versions.find(policies.place)


@task("export the policy documents and read every one")
def export(policies: Policies) -> Documents:
    """Give what the cluster says now, twice the same, whole, none of those wanted missing."""
    documents = _exported(policies)
    check(
        "there are policy documents",
        lambda: bool(documents),
        seen=lambda: "the client has ended well and exported none",
        hint="Nothing was kept. Is the client logged in to the right platform, by somebody who may "
        "read policy?",
    )
    missing = sorted(set(policies.settings.documents) - set(documents))
    check(
        "every policy document of the settings was exported",
        lambda: not missing,
        seen=lambda: f"missing: {', '.join(missing)}; exported: {', '.join(sorted(documents))}",
        hint="Nothing was kept. Who has removed it? If rightly, take it out of exports.documents.",
    )
    policies.place.fits(documents)
    check(
        "a second export says the same, byte by byte",
        lambda: _exported(policies) == documents,
        hint="Nothing was kept. Somebody changes policy at this moment, or an export was cut. "
        "Start again.",
    )
    fact("documents", ", ".join(f"{name} {len(documents[name])} B" for name in sorted(documents)))
    return documents


@task("export once more and compare")
def confirm(policies: Policies, documents: Documents) -> None:
    """Insist that the cluster still says what the newest version has; tell it for the record."""
    check(
        "another export is the newest version, byte by byte",
        lambda: platform_versions.has(policies.place, _exported(policies)),
        hint="Somebody changes policy at this moment, or an export was cut. Start again.",
    )
    if not current().planning:
        policy = Version(policies.place.version("latest").id, documents)
        platform_versions.tell(policies.place, policy, "policy", "kept")


@task("find the policy documents to import")
def wanted(policies: Policies, version: str, document: str) -> Version:
    """Give a version, or one document of it; every document is whole."""
    replaced = version.startswith(_REPLACED)
    place = policies.replaced if replaced else policies.place
    found = place.version(version.removeprefix(_REPLACED))
    chosen = {n: text for n, text in found.documents.items() if document in ("", n)}
    if not chosen:
        raise CheckFailed(
            f"version {version} in {place} has no {document or 'policy document'}",
            detail=f"it has: {', '.join(sorted(found.documents)) or 'nothing'}",
            hint="Name another version or document, or run policy-export first.",
        )
    for name, text in chosen.items():
        whole(name, text)
    fact("imported from", f"{place}, version {found.id}")
    return Version(f"{_REPLACED if replaced else ''}{found.id}", chosen)


@task("compare the documents with the cluster")
def compare(policies: Policies, version: Version, *, replace: bool) -> Comparison:
    """Tell new, same and different; the last only where chosen, and where it can be kept."""
    found = Comparison(version.documents, _exported(policies))
    fact("new", ", ".join(found.new) or "none")
    fact("same", ", ".join(found.same) or "none")
    fact("different", ", ".join(found.different) or "none")
    fact("only in the cluster, left alone", ", ".join(found.others) or "none")
    for name in found.different:
        note(f"{name} will be replaced:\n{found.changes(name)}")
    check(
        "no policy document of the cluster has another text, or replace was chosen",
        lambda: replace or not found.different,
        seen=lambda: f"different: {', '.join(found.different)}",
        hint="Read the differences. To replace these documents, start again with replace.",
    )
    if found.different:
        policies.replaced.fits(found.there)
    return found


@task("keep the text that is replaced")
def keep_replaced(policies: Policies, found: Comparison) -> None:
    """See that what the cluster says now can be imported again; nothing older goes for it."""
    if not found.different:
        note("no text is replaced")
        return
    platform_versions.clear(policies.replaced)
    title = f"Policy of {policies.cluster} before an import"
    platform_versions.keep(policies.replaced, found.there, title)
    if not current().planning:
        kept = Version(f"{_REPLACED}{policies.replaced.version('latest').id}", found.there)
        platform_versions.tell(policies.replaced, kept, "policy", "replaced")
        note(f"what is replaced can be imported again as version {kept.id}")


@task("import the policy documents that are new or different")
def take_in(policies: Policies, found: Comparison) -> None:
    """See that the cluster has every document of the version."""
    client, names = policies.client, (*found.new, *found.different)
    files = tuple(f"{name}{ENDING}" for name in names)
    argv = apc.policy_import(policies.settings.program, *files)
    host = str(policies.settings.client)
    ensure(
        "the cluster has every document as it is in the version",
        holds=partial(_has, policies, found.wanted),
        needs=[
            Need(
                "the cluster still says what was compared",
                lambda: _still(found, _exported(policies)),
                hint="Somebody changes policy at this moment. Nothing was imported; start again.",
            )
        ],
        by=[
            Work(host, f"lay ready {' '.join(files)}", partial(_offer, policies, found, names)),
            Work(host, client.shown(argv), lambda: client.take_in(current().id, argv)),
        ],
    )


@task("export and compare")
def imported(policies: Policies, version: Version, found: Comparison) -> None:
    """Insist that the cluster has the version's documents; tell for the record what came."""
    check(
        "an export has every document as it is in the version",
        lambda: _has(policies, version.documents),
        hint="Does the platform write documents in another way? Compare the export by hand.",
    )
    if not current().planning:
        came = {n: found.wanted[n] for n in (*found.new, *found.different)}
        now = Version(version.id, came)
        platform_versions.tell(policies.place, now, "policy", "imported")


def _exported(policies: Policies) -> dict[str, bytes]:
    argv = apc.policy_export(policies.settings.program)
    documents: dict[str, bytes] = {}
    with closing(policies.client.exported(argv)) as files:
        for path, file in files:
            documents[named(path, ENDING)] = file.read()
    for name, text in documents.items():
        whole(name, text)
    return documents


def _still(found: Comparison, there: Documents) -> bool:
    return all(there.get(name) == found.there.get(name) for name in found.wanted)


def _has(policies: Policies, wanted: Documents) -> bool:
    there = _exported(policies)
    return all(there.get(name) == text for name, text in wanted.items())


def _offer(policies: Policies, found: Comparison, names: Iterable[str]) -> str:
    for name in names:
        text = found.wanted[name]
        content = iter(partial(io.BytesIO(text).read, 1 << 20), b"")
        policies.client.offer(current().id, f"{name}{ENDING}", content, len(text))
    return f"laid ready for {policies.client}"
