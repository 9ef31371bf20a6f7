"""Conducts a procedure inside a Prefect flow run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed, Failed

from blocks.load import load_cluster
from flows._codes import forgotten_at_the_end
from flows._form import SuspendingGate
from flows._missed_nights import PLANNED, SKIPPED, at_work_for, made_up_for
from flows._output import outlive_the_reader
from flows._own_database import refuse_ours
from flows._platform_nights import done_in_platform
from flows._watch import PrefectWatcher
from runbook.approval import NotAnswered, RefusedByPerson, Waiting
from runbook.drive import Result
from runbook.errors import Held, RunbookError
from runbook.marks import marked
from runbook.places import state_directory
from runbook.plan import Plan, PlanLine
from runbook.run import APART, Parameter
from runbook.units import counted
from runbook.user import SCHEDULE

if TYPE_CHECKING:
    from flows._procedure import Procedure


def conduct_in_prefect(procedure: Procedure, parameters: Mapping[str, Parameter]) -> State[None]:
    """Plan, ask and act as the flow run that this is called in, and give the state it ends in."""
    outlive_the_reader()
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    run = context.flow_run
    cluster = str(parameters["cluster"])
    done = _done_already(procedure, run, cluster)
    if done:
        return _skipped(PrefectWatcher(run, procedure.name, cluster), done)
    mark = marked(state_directory() / "runs", str(run.id), procedure.name, cluster)
    with mark, forgotten_at_the_end(run.id):
        return _conduct(procedure, parameters, run, cluster)


def _done_already(procedure: Procedure, run: FlowRun, cluster: str) -> str:
    """Tell why a night has nothing to do; empty for every run that is to do its work."""
    if procedure.scheduled:
        # In this order: one that ends between the two questions is found by the second.
        other = at_work_for(run)
        if other is not None:
            return f"Run {other.name} ({other.id}) is doing this."
        other = made_up_for(run)
        if other is not None:
            return f"Run {other.name} ({other.id}) began after the time planned for this one."
    if not procedure.part_of:
        return ""
    return done_in_platform(run, procedure.name, cluster, procedure.part_of)


def _conduct(
    procedure: Procedure, parameters: Mapping[str, Parameter], run: FlowRun, cluster: str
) -> State[None]:
    watcher = PrefectWatcher(run, procedure.name, cluster)
    try:
        if cluster and procedure.alone:
            described = load_cluster(cluster)
            refuse_ours(described, procedure.leaves(described))
        result = procedure.conduct(
            parameters,
            gate=SuspendingGate(run),
            watcher=watcher,
            run_id=str(run.id),
            requested_by=_requested_by(run),
        )
    except Waiting as waiting:
        watcher.tag("waiting for approval")
        raise (waiting.__cause__ or waiting) from None
    except (RefusedByPerson, NotAnswered) as error:
        outcome = "not answered" if isinstance(error, NotAnswered) else "refused"
        watcher.tag(outcome)
        watcher.keep_result(outcome, _block(str(error)))
        return Cancelled(message=str(error))
    except RunbookError as error:
        locked = procedure.scheduled and procedure.alone and isinstance(error, Held)
        other = at_work_for(run, locked=True) if locked else None
        if other is not None:
            return _skipped(watcher, f"Run {other.name} ({other.id}) is doing this: {error.detail}")
        return _failed(watcher, error)
    return _completed(run, watcher, result)


def _skipped(watcher: PrefectWatcher, why: str) -> State[None]:
    watcher.tag("skipped")
    return Completed(name=SKIPPED, message=why)


def _failed(watcher: PrefectWatcher, error: RunbookError) -> State[None]:
    watcher.tag("failed")
    watcher.flow_logger.error("%s", error)
    watcher.keep_result(f"failed: {error.message}", _block(str(error)))
    return Failed(message=str(error))


def _completed(run: FlowRun, watcher: PrefectWatcher, result: Result) -> State[None]:
    planned = result.trail is None
    changes = result.plan.changes if planned else result.changed
    about = f"{counted(changes, 'change')} {'planned' if planned else 'made'}"
    watcher.keep_result(about, _page(result))
    if planned:
        watcher.tag("planned")
        text = f"{_first(result)} Dry run: {result.plan.outlook}".lstrip()
        return Completed(name=PLANNED, message=text)
    first = _first(result)
    watcher.tag(
        "apart" if result.memory.get(APART) else "changed" if result.changed else "nothing to do"
    )
    if not result.changed:
        return Completed(message=f"{first} {_unchanged(result.plan)}".lstrip())
    how = f"pg-runbooks audit show {run.id}"
    made = "change was" if result.changed == 1 else "changes were"
    text = f"{result.changed} {made} made. Record: {result.trail} ({how})"
    return Completed(message=f"{first} {text}".lstrip())


def _unchanged(plan: Plan) -> str:
    if plan.has_goals and not plan.headline:
        return "Nothing to do: everything was already so."
    return "Nothing was changed." if plan.headline else "It only read: nothing was changed."


def _first(result: Result) -> str:
    """Tell first of a run that has done less than its name says, or nothing of it."""
    less = result.memory.get(APART)
    told = (f"APART: {less}" if less else "", result.plan.headline)
    return " ".join(f"{each}." for each in told if each)


def _page(result: Result) -> str:
    if result.trail is None:
        return result.plan.markdown()
    count = counted(result.changed, "change")
    lines = [f"## {result.plan.runbook} on {result.plan.cluster}: {count}", ""]
    if result.plan.headline:
        lines += [f"**{result.plan.headline}**", ""]
    for step in result.plan.steps:
        lines += [f"### {step.number}. {step.title}", ""]
        lines += [f"- {_ended(line)}" for line in step.lines] + [""]
    return "\n".join(lines)


def _ended(line: PlanLine) -> str:
    return line.text if line.outcome == "note" else f"{line.text} — *{line.outcome}*"


def _block(text: str) -> str:
    return f"```\n{text}\n```\n"


def _requested_by(run: FlowRun) -> str:
    if run.auto_scheduled:
        return SCHEDULE
    return str(run.labels.get("pg-runbooks.requested-by") or "Prefect UI or API")
