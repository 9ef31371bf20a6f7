"""Old data that restores have set aside."""

from __future__ import annotations

import re

from runbook import Need, check, ensure, fact
from runbook.errors import CheckFailed
from runbook.plan import NOTHING_REMOVED, Fact
from runbook.postgres import Node
from runbook.restore.kept import Aside, asides, gone, half_undone, newest
from runbook.restore.marks import read_mark
from runbook.restore.remains import half_restored, restored_over_nothing
from runbook.run import current
from runbook.units import readable_bytes
from tasks._task import task

_STAMP = re.compile(r"\d{14}|\d+-[0-9A-F]+_[0-9A-F]+")  # a moment; a timeline and where it began
_WHERE = "14 digits at the end of <data directory>.aside-… or .undone-…, or all after .diverged-"


@task("find what was set aside on {node}")
def find(node: Node, stamp: str) -> Aside:
    """Find the data that was set aside, and tell where it is and how much."""
    _insist_on_kept(node, stamp)
    found = newest(node, stamp)
    fact("node", f"{node} on {node.host} ({node.host.way})")
    fact("set aside at", f"{found.stamp} UTC ({found.kind})")
    for place in found.places:
        fact(f"kept for {place.live}", found.directory(place))
    fact("size", readable_bytes(found.size()), bound=False)
    return found


@task("check that nothing is half in place on {node}")
def nothing_half_in_place(node: Node, stamp: str) -> None:
    """Refuse to swap over a swap that was interrupted: what was set aside would be mixed.

    A restore that is half in place is undone itself where all of the old data went aside.
    """
    restored, half = half_restored(node), half_undone(node)
    backup, moment = (restored.backup, restored.stamp) if restored else ("", "")
    back = [aside for aside in asides(node) if aside.stamp == moment and aside.is_whole()]
    wanted = newest(node, stamp).stamp if back else ""
    way_back = f"; or undo that one, with stamp={moment}" if back else ""
    check(
        "no restore is half in place, unless it is the one to be undone",
        lambda: wanted == moment,
        seen=lambda: f"of {backup}, some parts are in place and some are not",
        hint=f"Start instance-restore with backup={backup}, and the other options of that run, to "
        f"bring it to its end; then undo{way_back}.",
    )
    check(
        "no undo of another moment is half done",
        lambda: half in ("", stamp) or half == newest(node, stamp).stamp,
        seen=lambda: f"of what was set aside at {half}, some parts are back and some are not",
        hint=f"Start instance-restore-undo with stamp={half}, to bring it to its end.",
    )


@task("check that what was put back from {aside.stamp} is what lives there")
def not_overtaken(aside: Aside) -> None:
    """Refuse to take data for put back where another restore has replaced it since."""
    stamps = [each.stamp for each in asides(aside.node) if each.kind == "aside"]
    check(
        "nothing was restored since it was put back",
        lambda: not aside.overtaken_by(),
        seen=lambda: (
            f"it was put back once, and {aside.data.live} is {aside.overtaken_by()}, restored since"
        ),
        hint=f"Start again with stamp={' or stamp='.join(stamps)}: that can be put back."
        if stamps
        else "Nothing that can be put back is kept (the last restore removed the old data, or "
        "discard-aside did): restore a backup with instance-restore.",
    )


@task("find what was set aside on {node} at {stamp}")
def find_or_gone(node: Node, stamp: str) -> Aside:
    """Find the data that was set aside, or know that it is gone already."""
    there = asides(node)
    if stamp in {aside.stamp for aside in there}:
        found = find(node, stamp)
        need = _not_needed(found)
        check(need.text, need.holds, seen=need.seen, hint=need.hint)
        return found
    known = ", ".join(f"{a.stamp} ({a.kind}, {readable_bytes(a.size())})" for a in there)
    if not _STAMP.fullmatch(stamp):
        raise CheckFailed(
            f"stamp is the {_WHERE}, not {stamp!r}", detail=f"kept on {node}: {known or 'nothing'}"
        )
    left = gone(node, stamp)
    if left.is_gone():
        told = f"nothing set aside at {stamp} is kept on {node}; kept: {known or 'nothing'}"
        current().builder.lead(Fact(name=NOTHING_REMOVED, value=told, bound=False))
    return left


@task("put back what was set aside at {aside.stamp}")
def put_back(aside: Aside) -> None:
    """Swap the directories back; what had replaced it is kept as undone."""
    ensure(
        f"{aside.data.live} is again the data that was set aside at {aside.stamp}",
        holds=aside.is_back,
        needs=[Need(f"no server runs on {aside.node}", aside.node.is_stopped)],
        by=aside.put_back,
    )


@task("close the undo on {aside.node}")
def close(aside: Aside) -> None:
    """See that no restore counts as begun there: what it had stopped is in service again."""
    ensure(
        f"no restore that was begun on {aside.node} waits for its end",
        holds=lambda: not aside.clock.started_by(),
        by=[aside.clock.forgotten()],
    )


@task("remove what was set aside at {aside.stamp}")
def discard(aside: Aside) -> None:
    """Remove data that was set aside, for good."""
    ensure(
        f"what was set aside at {aside.stamp} is gone",
        holds=aside.is_gone,
        needs=[_not_needed(aside)],
        by=aside.discard,
    )


def _insist_on_kept(node: Node, stamp: str) -> None:
    """Refuse to put back what an earlier restore has set aside, unless it is asked for by name.

    An undo that is half done goes on: no restore has begun since, they are refused over it.
    """
    begun, there = restored_over_nothing(node), asides(node)
    stamps = [each.stamp for each in there if each.kind == "aside"]
    back = [a.stamp for a in there if a.kind == "undone" and a.is_back() and not a.overtaken_by()]
    undone = (
        "An undo had put back the data that stands there: unless a restore was begun since with "
        f"remove_old, go on with stamp={back[-1]}. Else: "
        if back
        else ""
    )
    older = (
        f"; or this one with stamp={' or stamp='.join(stamps)}, which is older" if stamps else ""
    )
    check(
        "the restore that was begun last has kept what it replaces",
        lambda: not begun,
        unless=lambda: bool(begun and (stamp in {a.stamp for a in there} or half_undone(node))),
        seen=lambda: (
            f"the restore of {begun} was cut off and has set nothing aside: the old data still "
            "stands there, or was removed (remove_old), or there was none"
        ),
        hint=f"{undone}Start instance-restore again with backup={begun} and the same other "
        "parameters (again and remove_old, too), to bring it to its end; then undo, if it kept the "
        f"old data{older}.{'' if undone else _as_it_stands(node)}",
    )


def _as_it_stands(node: Node) -> str:
    """Tell how to keep the old data where nothing has replaced it: the shortest way out."""
    host, live = node.host, node.directory()
    mark = read_mark(host, live, node.os_user)
    is_old = mark is None or mark.finished is not None
    if not is_old or not host.holds("test", "-e", f"{live}/PG_VERSION", user=node.os_user):
        return ""
    lines = "; ".join(map(host.shown, (*node.service.release(node), *node.service.start(node))))
    return (
        " Or, unless remove_old was given, keep the old data, which stands there whole: where it "
        f"is down, start it, on {host}: {lines}; then the applications."
    )


def _not_needed(aside: Aside) -> Need:
    return Need(
        f"other data has taken the place of what was set aside at {aside.stamp}",
        lambda: not aside.needed(),
        seen=aside.needed,
        hint="A restore or an undo was interrupted: start it again and let it finish first.",
    )
