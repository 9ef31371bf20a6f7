"""Retention of dumps: which of them may go. A pure function, tested over all inputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from runbook.components.dump import DatabaseDump, Occasion

OCCASIONS: tuple[Occasion, ...] = ("daily", "deploy")


def expendable(
    dumps: Sequence[DatabaseDump],
    *,
    keep: int,
    sound: Collection[str],
    coming: Occasion | None = None,
) -> tuple[DatabaseDump, ...]:
    """Give the dumps of one database that may be removed, oldest first.

    Always remain: the newest `keep` sound ones of nights, as many of deploys (many deploys of one
    day must not push the nights out), and whatever is newer than the oldest of these. `sound` are
    the ids whose archive is there in its size; of an occasion that has none, nothing may go. A
    plan counts the dump that is still `coming` as one of them.
    """
    going: list[DatabaseDump] = []
    for occasion in OCCASIONS:
        mine = sorted(
            (dump for dump in dumps if dump.occasion == occasion),
            key=lambda dump: (dump.finished, dump.id),
        )
        room = max(1, keep) - (occasion == coming)
        whole = [dump for dump in mine if dump.id in sound]
        oldest = whole[-room:][0].finished if room and whole else None
        if oldest is not None:
            going += [dump for dump in mine if dump.finished < oldest]
        elif not room:
            going += mine
    return tuple(going)
