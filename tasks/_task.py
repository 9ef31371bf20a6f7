"""The house's task: one idempotent thing, shown in Prefect as one numbered task run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from runbook.run import current

P = ParamSpec("P")
R = TypeVar("R")


def task(title: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a task. `title` may name its arguments: "stop {node}".

    Never cached and never retried by Prefect: whether something is to do is asked of the world.
    While planning, and where no server is, the plain function runs.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        shape = signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            run = current()
            if run.planning or not _in_a_flow_run():
                return function(*args, **kwargs)
            import prefect
            from prefect.cache_policies import NO_CACHE

            bound = shape.bind(*args, **kwargs)
            bound.apply_defaults()
            name = f"{run.position} {title.format(**bound.arguments)}".strip()
            shown = prefect.task(
                name=title,
                task_run_name=name.replace("{", "(").replace("}", ")"),
                cache_policy=NO_CACHE,
                retries=0,
                persist_result=False,
            )
            return shown(lambda: function(*args, **kwargs))()

        return call

    return decorate


def _in_a_flow_run() -> bool:
    """Tell whether Prefect runs this; where nobody has loaded it yet, it does not."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None
