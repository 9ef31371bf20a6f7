"""Small procedures that only touch files, to prove what the control room does with any runbook."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows._procedure import procedure
from runbook import Need, approve, ensure, step
from runbook.actions import Execute, Work
from runbook.hosts import Command, Host
from runbook.places import state_directory
from runbook.run import APART, current
from tasks._task import task

HERE = Host(name="here")


def world(cluster: str) -> Path:
    """Give the folder that stands for the cluster."""
    return state_directory() / "world" / cluster


def _touched(cluster: str, name: str, needs: tuple[Need, ...] = ()) -> None:
    path = world(cluster) / name
    command = Command(("install", "-D", "/dev/null", str(path)))
    ensure(f"{name} is there", holds=path.exists, needs=needs, by=[Execute(HERE, command)])


@procedure("touch")
def touch(cluster: str, reason: str = "", dry_run: bool = True) -> None:
    """Touch three files, the last two only after a person has agreed.

    Args:
        cluster: Name of the cluster.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with step("1", "Touch the first"):
        _touched(cluster, "first")
    approve("Touch the others?")
    with step("2", "Touch the second"):
        broken = world(cluster) / "broken"
        whole = Need("the disk is whole", holds=lambda: not broken.exists(), hint="Mend it.")
        _touched(cluster, "second", needs=(whole,))
    with step("3", "Touch the third"):
        _touched(cluster, "third")


@procedure("prepare")
def prepare(cluster: str, dry_run: bool = True) -> None:
    """Prepare something, ask, and use it; what was prepared is taken back without an approval.

    Args:
        cluster: Name of the cluster.
        dry_run: Only show the plan.
    """
    with step("1", "Prepare"):
        _touched(cluster, "prepared")
        gone = Command(("rm", str(world(cluster) / "prepared")))
        current().if_refused.append(Execute(HERE, gone))
    approve("Use it?")
    with step("2", "Use it"):
        _touched(cluster, "used")


@procedure("tick", scheduled=True)
def tick(cluster: str, dry_run: bool = True) -> None:
    """Write one line for each run.

    Args:
        cluster: Name of the cluster.
        dry_run: Only show the plan.
    """
    with step("1", "Write the line"):
        one_line(world(cluster) / "ticks")


def one_line(path: Path) -> None:
    """Write one line for this run, as soon as nothing makes it slow."""
    run = current().id
    write = 'mkdir -p "${1%/*}" && while [ -e "$1.slow" ]; do sleep 0.1; done && echo "$2" >>"$1"'
    append = Command(("sh", "-c", write, "sh", str(path), run))
    ensure(
        "this run has its line",
        holds=lambda: path.exists() and run in path.read_text(),
        by=[Execute(HERE, append, shown="one more line")],
    )


@procedure("hold")
def hold(cluster: str, seconds: int = 120, dry_run: bool = True) -> None:
    """Hold the cluster for a while.

    Args:
        cluster: Name of the cluster.
        seconds: How long.
        dry_run: Only show the plan.
    """
    with step("1", "Begin"):
        _touched(cluster, "held")
    with step("2", "Sleep"):
        slept = world(cluster) / "slept"
        nap = Command(("sh", "-c", 'sleep "$1" && touch "$2"', "sh", str(seconds), str(slept)))
        nap = Command(nap.argv, leashed=True)
        ensure("it has slept", holds=slept.exists, by=[Execute(HERE, nap)])


@procedure("lend")
def lend(cluster: str, dry_run: bool = True) -> None:
    """Take something away for a while; it is brought back also when the run is cancelled.

    Args:
        cluster: Name of the cluster.
        dry_run: Only show the plan.
    """
    with _brought_back(cluster):
        with step("1", "Take it"):
            _touched(cluster, "taken")
        with step("2", "Use it"):
            used = world(cluster) / "used"
            nap = Command(("sh", "-c", 'sleep 600 && touch "$1"', "sh", str(used)), leashed=True)
            ensure("it was used", holds=used.exists, by=[Execute(HERE, nap)])


@contextmanager
def _brought_back(cluster: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if not current().planning:
            _bring_back(cluster)
        raise


@task("bring it back")
def _bring_back(cluster: str) -> None:
    _touched(cluster, "brought back")


@procedure("fall-short")
def fall_short(cluster: str, dry_run: bool = True) -> None:
    """Touch one file of two, and say so.

    Args:
        cluster: Name of the cluster.
        dry_run: Only show the plan.
    """
    with step("1", "Touch the first"):
        _touched(cluster, "first")
    if not current().planning:
        current().memory[APART] = "the first alone"


@procedure("carry")
def carry(cluster: str, dry_run: bool = True) -> None:
    """Carry bytes for three seconds, and tell how far it is.

    Args:
        cluster: Name of the cluster.
        dry_run: Only show the plan.
    """
    carried: list[int] = []

    def work() -> str:
        for part in range(1, 31):
            time.sleep(0.1)
            carried.append(part)
            current().progress("carry bytes", part * 1000, 30000, finished=part == 30)
        return "30 parts"

    with step("1", "Carry"):
        ensure("all is carried", holds=lambda: len(carried) == 30, by=[Work("here", "carry", work)])
