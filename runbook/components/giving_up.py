"""What a restore has closed and held, opened and let go when it does not come to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from runbook.actions import Action, Execute, Work
from runbook.approval import ApprovalNeeded
from runbook.components import statements
from runbook.components.catalogue import DumpCatalogue
from runbook.components.group import ServerGroup
from runbook.components.places import Places
from runbook.components.standing import standing
from runbook.errors import RunbookError
from runbook.run import current
from runbook.watch import log

_SECONDS = 60.0


@contextmanager
def taken_back(places: Places) -> Iterator[None]:
    """Open and release, unless the block ends well or with the question to people.

    A database that an earlier run has closed, and was killed before it renamed it, is opened too:
    also when this one fails in its plan. A dry run takes nothing back.
    """
    try:
        yield
    except ApprovalNeeded:
        raise
    except BaseException:
        run = current()
        if run.locked:
            try:
                run.record("taken back", said=give_up(places, run.id))
            except RunbookError as error:
                log.warning("databases may still let nobody in: %s", error.message)
        raise


def when_refused(places: Places, run_id: str) -> Action:
    """Give the same for people's refusal; the places are closed by then."""
    line = "let applications into databases that a restore has closed, and release the dumps"
    return Work(str(places.group.primary), line, partial(_again, places, run_id))


def held_by(places: Places, run_id: str) -> list[tuple[DumpCatalogue, str, str]]:
    """List the dumps that a run holds: where, of which database, and their id."""
    return [
        (catalogue, database, stamp)
        for catalogue in places.catalogues
        for database in places.group.settings.databases
        for stamp in catalogue.look(database).held
        if run_id in catalogue.holders(database, stamp)
    ]


def closed_in(group: ServerGroup) -> list[str]:
    """Name the databases of a group that a restore has closed, and not put in place."""
    found = standing(group.primary.node).values()
    return [one.name for one in found if one.closed_by_us and one.name in group.settings.databases]


def openings(group: ServerGroup, names: Sequence[str]) -> tuple[Action, ...]:
    """Let applications into databases again."""
    node = group.primary.node
    lines = (node.statement(statements.opening(name), timeout=_SECONDS) for name in names)
    return tuple(Execute(node.console, line) for line in lines)


def give_up(places: Places, run_id: str) -> str:
    """Open every database of the group that a restore has closed; release what the run holds."""
    closed = closed_in(places.group)
    for action in openings(places.group, closed):
        action.perform()
    held = held_by(places, run_id)
    for catalogue, database, stamp in held:
        catalogue.release(database, stamp, run_id)
    return f"opened: {', '.join(closed) or 'none'}; released: {len(held)} dumps"


def _again(places: Places, run_id: str) -> str:
    with places.again() as opened:
        return give_up(opened, run_id)
