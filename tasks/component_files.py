"""Files of component dumps: what interrupted runs have left, and what retention lets go."""

from __future__ import annotations

from functools import partial

from runbook import ensure, note
from runbook.actions import Work
from runbook.components.catalogue import DumpCatalogue
from runbook.components.dump import RECORD, DatabaseDump, Occasion
from runbook.components.places import Places
from runbook.components.retention import expendable
from runbook.components.shelf import Files, Shelf
from runbook.run import current
from runbook.units import readable_bytes
from tasks._task import task


@task("clear what interrupted runs left behind")
def clear_leftovers(places: Places) -> None:
    """Remove dumps that a run of ours began and never finished; say which."""
    nothing = True
    for catalogue in places.catalogues:
        for files in catalogue.leftovers():
            nothing = False
            _clear(catalogue, files)
        cut = catalogue.cut()
        if cut:
            nothing = False
            ensure(
                f"files in {catalogue} that were being written when their run ended are gone",
                holds=partial(_has_none_cut, catalogue),
                by=[Work(str(catalogue), f"rm {' '.join(cut)}", partial(_cleared, catalogue))],
            )
    if nothing:
        note("no interrupted run has left anything behind")


@task("remove dumps that the rule no longer keeps")
def prune(places: Places, occasion: Occasion) -> None:
    """Remove old dumps of the databases whose new one is verified, and of no other."""
    settings, run = places.group.settings, current()
    nothing = True
    for catalogue in places.catalogues:
        for database in settings.databases:
            shelf = catalogue.look(database)
            made = shelf.of_run(run.id)
            if made is None and not run.planning:
                continue
            going = expendable(
                _of_this_system(places, catalogue, shelf),
                keep=settings.keep,
                sound={dump.id for dump in shelf.sound},
                coming=occasion if made is None else None,
            )
            nothing = nothing and not going
            held = shelf.held
            for dump in going:
                if dump.id in held:
                    since = f"{held[dump.id]:%F %T} UTC"
                    note(f"{dump.name} in {catalogue} stays: a restore holds it since {since}")
                else:
                    _remove(catalogue, dump)
    if nothing:
        note(f"nothing may go: the newest {settings.keep} of each database and occasion remain")


def _of_this_system(places: Places, catalogue: DumpCatalogue, shelf: Shelf) -> list[DatabaseDump]:
    """List the dumps that count; those of another database system are left alone, and told."""
    ours = places.group.primary.identity.system_identifier
    others = [dump.name for dump in shelf.dumps if dump.system_identifier != ours]
    if others:
        note(f"of another database system, and left alone in {catalogue}: {', '.join(others)}")
    return [dump for dump in shelf.dumps if dump.system_identifier == ours]


def _clear(catalogue: DumpCatalogue, files: Files) -> None:
    if RECORD in files.objects:
        ensure(
            f"{files.name} in {catalogue}, which is whole, no longer bears a run's mark",
            holds=partial(_is_no_leftover, catalogue, files),
            by=[Work(str(catalogue), "remove the mark", partial(_unmarked, catalogue, files))],
        )
        return
    ensure(
        f"the unfinished {files.name} of an interrupted run is gone from {catalogue}",
        holds=partial(_is_no_leftover, catalogue, files),
        by=[
            Work(
                str(catalogue),
                f"remove {files.name} with its {readable_bytes(files.size)}",
                partial(_removed, catalogue, files),
            )
        ],
    )


def _remove(catalogue: DumpCatalogue, dump: DatabaseDump) -> None:
    ensure(
        f"{dump.name} is gone from {catalogue}",
        holds=lambda: dump.id not in {files.id for files in catalogue.found(dump.database)},
        by=[
            Work(
                str(catalogue),
                f"remove {dump.name} with its {readable_bytes(dump.size)}",
                partial(_dropped, catalogue, dump),
            )
        ],
    )


def _has_none_cut(catalogue: DumpCatalogue) -> bool:
    return not catalogue.cut()


def _is_no_leftover(catalogue: DumpCatalogue, files: Files) -> bool:
    return files.name not in {left.name for left in catalogue.leftovers()}


def _cleared(catalogue: DumpCatalogue) -> str:
    return f"removed {catalogue.clear_cut()} files"


def _unmarked(catalogue: DumpCatalogue, files: Files) -> str:
    catalogue.unmark(files)
    return f"{files.name} is unmarked"


def _removed(catalogue: DumpCatalogue, files: Files) -> str:
    catalogue.remove(files)
    return f"removed {files.name}"


def _dropped(catalogue: DumpCatalogue, dump: DatabaseDump) -> str:
    for files in catalogue.found(dump.database):
        if files.id == dump.id:
            catalogue.remove(files)
    return f"removed {dump.name}"
