"""Rounds: A B C, A B C, ... so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from rich.console import Console

from tests.bench.meter import Meter, PeakMemory, Servers
from tests.bench.series import Series
from tests.bench.variant import Sample, Variant


def interleaved(
    variants: Sequence[Variant], rounds: int, servers: Servers, console: Console
) -> list[Series]:
    """Run every variant once per round, in order; give one series of samples for each."""
    samples: dict[str, list[Sample]] = {variant.name: [] for variant in variants}
    for number in range(1, rounds + 1):
        for variant in variants:
            sample = _sample(variant, number, servers)
            samples[variant.name].append(sample)
            console.print(
                f"  round {number}/{rounds}  {variant.name:<44} {sample.took.seconds:8.2f} s   "
                f"foreign CPU {sample.cost.foreign:5.1f} s, load {sample.cost.load:.1f}",
                highlight=False,
                style="dim",
            )
    return [Series(each.name, each.note, tuple(samples[each.name])) for each in variants]


def _sample(variant: Variant, number: int, servers: Servers) -> Sample:
    variant.before()
    os.sync()
    time.sleep(0.2)
    try:
        with PeakMemory(servers) as memory, Meter(servers) as meter:
            took = variant.run()
        if number == 1 or not variant.prove_once:
            variant.prove()
    finally:
        variant.after()
    return Sample(took, meter.cost, took.memory or memory.bytes)
