"""Makes a procedure of a function: a Prefect flow, and a run without any server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial, wraps
from inspect import Parameter as Argument
from inspect import cleandoc, getmodule, signature
from typing import Any
from uuid import uuid4

from prefect import Flow, flow
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from blocks.load import load_cluster
from flows._audit import copy_for
from flows._names import run_name
from flows._policy import ByPolicy, terms_for
from runbook.approval import Gate
from runbook.cluster import Cluster
from runbook.drive import Driver, Order, Result
from runbook.errors import SettingsError
from runbook.places import state_directory
from runbook.postgres import Node
from runbook.run import Parameter
from runbook.user import operating_system_user
from runbook.watch import Watcher

Body = Callable[..., None]


@dataclass(frozen=True)
class Procedure:
    """A runbook: its name, its steps, and the parameters of its page."""

    name: str
    body: Body
    scheduled: bool = False
    alone: bool = True
    hour: int = 2
    needs: str = ""
    part_of: str = ""
    replaces: bool = False
    defaults: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """Give the page's head and the help of its parameters, as people read them in the UI."""
        page = getmodule(self.body)
        parts = [cleandoc((page.__doc__ if page else "") or ""), cleandoc(self.body.__doc__ or "")]
        return "\n\n".join(part for part in parts if part)

    def conduct(
        self,
        parameters: Mapping[str, Parameter],
        *,
        gate: Gate,
        watcher: Watcher,
        run_id: str = "",
        requested_by: str = "",
    ) -> Result:
        """Plan, or plan and act, with the given way to ask people and to tell them."""
        wanted = self._complete(parameters)
        dry_run = wanted.pop("dry_run", True)
        cluster = str(wanted["cluster"])
        order = Order(
            runbook=self.name,
            cluster=cluster,
            parameters=wanted,
            body=lambda: self.body(**wanted, dry_run=dry_run),
            hosts=lambda: load_cluster(cluster).hosts,
            former=lambda: [node.host for node in self.leaves(load_cluster(cluster))],
            requested_by=requested_by or f"{operating_system_user()}@{socket.gethostname()}",
            alone=self.alone,
            id=run_id or uuid4().hex,
        )
        copy = partial(copy_for, cluster)
        driver = Driver(state_directory(), ByPolicy(gate), watcher, copy, terms_for)
        return driver.dry_run(order) if dry_run else driver.run(order)

    def leaves(self, cluster: Cluster) -> tuple[Node, ...]:
        """Give the servers that it takes out of service for good, and puts another in place of."""
        return cluster.former if self.replaces else ()

    def _complete(self, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
        known = signature(self.body).parameters
        unknown = sorted(set(parameters) - set(known))
        missing = sorted(
            name
            for name, argument in known.items()
            if argument.default is Argument.empty and name not in parameters
        )
        if unknown or missing:
            raise SettingsError(
                f"{self.name} cannot be started like this",
                detail=f"unknown: {unknown or 'none'}; missing: {missing or 'none'}",
                hint=f"It takes: {', '.join(known)}.",
            )
        defaults = {
            name: argument.default
            for name, argument in known.items()
            if argument.default is not Argument.empty
        }
        return {**defaults, **parameters}


PROCEDURES: dict[str, Procedure] = {}


def procedure(
    name: str,
    *,
    scheduled: bool = False,
    alone: bool = True,
    hour: int = 2,
    needs: str = "",
    part_of: str = "",
    replaces: bool = False,
) -> Callable[[Body], Flow[..., Any]]:
    """Register a function as the runbook `name` and give its Prefect flow.

    The function takes `cluster` first and `dry_run` last, flat scalars only; its docstring is the
    deployment's description. It is walked through once to plan and once to act. With
    `alone=False` it changes nothing of the cluster and may run beside a run that does, or it
    takes the locks of what it changes itself. It is offered for clusters that have the setting
    `needs` (of `exports.jobs`: `exports`), and a `scheduled` one runs every night at `hour` where
    they have the whole of it; its night is skipped where the runbook that it is `part_of` has
    just done it. One that `replaces` a server holds the machine of that one, too, and asks
    whether Prefect's own database is there.
    """

    def decorate(body: Body) -> Flow[..., Any]:
        made = Procedure(name, body, scheduled, alone, hour, needs, part_of, replaces)
        PROCEDURES[name] = made

        @wraps(body)
        def run_in_prefect(*args: Any, **kwargs: Any) -> Any:
            from flows._control_room import conduct_in_prefect

            bound = signature(body).bind(*args, **kwargs)
            bound.apply_defaults()
            assert FlowRunContext.get() is not None
            return conduct_in_prefect(made, dict(bound.arguments))

        # Prefect would look up the names of the types in this module, not in the procedure's.
        resolved = signature(body, eval_str=True)
        run_in_prefect.__signature__ = resolved  # type: ignore[attr-defined]
        return flow(
            name=name,
            description=made.description,
            flow_run_name=lambda: run_name(name, flow_run.parameters),
            validate_parameters=True,
            persist_result=False,
            retries=0,
        )(run_in_prefect)

    return decorate
