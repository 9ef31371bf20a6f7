"""The questions of an approval, as asked at a terminal."""

from __future__ import annotations

import getpass
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.prompt import Prompt

from runbook.approval import Answer
from runbook.approvers.justification import QUESTION
from runbook.approvers.statement import Statement
from runbook.errors import Refused
from runbook.plan import Plan

Decision = Literal["approve", "refuse"]


@dataclass(frozen=True)
class Given:
    """What the person typed; `key` is the file of the SSH key to sign with."""

    decision: Decision
    approver: str
    reason: str
    confirm: str
    code: str = ""
    key: Path | None = None

    def signed(self, statement: Statement) -> str:
        """Give the person's signature; empty where no key was given."""
        return statement.signed_by(self.key) if self.key else ""


def statement(run: str, question: str, plan: Plan, given: Given) -> Statement:
    """Give what a person signs for an answer."""
    return Statement(
        run=run,
        question=question,
        runbook=plan.runbook,
        cluster=plan.cluster,
        plan=plan.digest,
        decision=given.decision,
        approver=given.approver,
        reason=given.reason,
    )


def justification(run: str, plan: Plan, *, by: str, reason: str, key: Path | None) -> Answer:
    """Give the answer that justifies an emergency: signed, or with a code asked for here."""
    given = Given("approve", by, reason, plan.cluster, key=key)
    if key is None:
        given = replace(given, code=Prompt.ask(f"One-time code of {by}").strip())
    moment = datetime.now(UTC)
    question = f"{QUESTION}-{moment:%Y%m%dT%H%M%S%f}"
    return Answer(
        decision=given.decision,
        approver=given.approver,
        reason=given.reason,
        confirm=given.confirm,
        at=moment,
        plan_digest=plan.digest,
        question=question,
        code=given.code,
        signature=given.signed(statement(run, question, plan, given)),
    )


def ask_person(
    console: Console,
    cluster: str,
    *,
    about: str,
    reason: str = "",
    is_proven: bool = False,
    plan: str = "",
) -> Given:
    """Read decision, name, reason and the cluster's name; Refused where nobody can type.

    With `is_proven` also a one-time code, or the key to sign with. `plan` names the one that was
    shown, for who answers it with options.
    """
    if sys.stdin is None or not sys.stdin.isatty() or console.quiet:
        named = f" --plan {plan}" if plan else ""
        raise Refused(
            f"{about} needs an approval, and this is no terminal",
            hint=f"Give --approve-by NAME --reason TEXT --confirm {cluster}{named}, or use a "
            "terminal.",
        )
    try:
        decision: Decision = "refuse"
        if _read(console, "Decision", "refuse", choices=["approve", "refuse"]) == "approve":
            decision = "approve"
        approver = _read(console, "Your name", getpass.getuser())
        why = _read(console, "Reason or ticket", reason)
        if decision == "refuse":
            return Given(decision, approver, why, "")
        typed = _confirmed(console, cluster)
        if typed != cluster:
            return Given("refuse", approver, why, "")
        given = Given(decision, approver, why, typed)
        return _proven(console, given) if is_proven else given
    except EOFError as error:
        raise Refused("the terminal was closed before the question was answered") from error


def _confirmed(console: Console, cluster: str) -> str:
    """Ask until it is the cluster's name, or refuse: a slip gives back no hours of copying."""
    typed = _read(console, f"Type the cluster's name ({cluster}) to approve", "")
    while typed not in (cluster, "refuse"):
        typed = _read(console, f"That is not {cluster}. Type {cluster}, or refuse", "")
    return typed


def _proven(console: Console, given: Given) -> Given:
    """Ask for a code, or else for the key."""
    code = _read(console, "One-time code (empty: sign with your SSH key)", "")
    if code:
        return replace(given, code=code)
    key = _read(console, "SSH key to sign with", str(Path("~/.ssh/id_ed25519")))
    return replace(given, key=Path(key).expanduser())


def _read(console: Console, prompt: str, default: str, choices: list[str] | None = None) -> str:
    answer = Prompt.ask(
        prompt, console=console, default=default, choices=choices, show_default=bool(default)
    )
    return answer.strip()
