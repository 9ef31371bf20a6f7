"""Ways to approve without the Prefect UI: at the terminal, or by options given beforehand."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.markdown import Markdown
from rich.panel import Panel

from deployments.cli.meter import Meter
from deployments.cli.questions import Given, ask_person, statement
from flows._policy import approval_of
from runbook.approval import Answer
from runbook.errors import Refused
from runbook.plan import Plan
from runbook.units import counted
from runbook.user import operating_system_user


class TerminalGate:
    """Asks the person at the terminal, in the run of this process."""

    def __init__(self, run: str, console: Console, meter: Meter, reason: str = "") -> None:
        self._run, self._console, self._meter, self._reason = run, console, meter, reason
        self._asked = 0

    def ask(self, plan: Plan, question: str) -> Answer:
        """Show the question and read the answer."""
        count = plan.changes_after_approval
        verb = "changes" if count == 1 else "change"
        told = f"{counted(count, 'command')} behind this question {verb} something."
        first, _, more = question.partition("\n\n")
        about = f"{plan.runbook} on {plan.cluster}"
        self._asked += 1
        with self._meter.paused():
            text = Markdown(f"**{first}**\n\n{more}\n\n{told}")
            self._console.print(Panel(text, title=about))
            given = ask_person(
                self._console,
                plan.cluster,
                about=about,
                reason=self._reason,
                is_proven=bool(approval_of(plan).policy),
            )
        return _answer(given, plan, "terminal", self._run, self._asked)


class NamedGate:
    """Answers with what the options say; for use where nobody sits at a terminal."""

    def __init__(self, run: str, given: Given) -> None:
        self._run, self._given = run, given
        self._asked = 0

    def ask(self, plan: Plan, question: str) -> Answer:
        """Approve in the given name, once; a wrong confirmation is refused by whoever asked."""
        self._asked += 1
        if self._asked > 1:
            raise Refused(
                f"{plan.runbook} on {plan.cluster}: the approval given beforehand is not enough",
                detail=question,
                hint="Run it through its deployment, and let people answer: pg-runbooks approve.",
            )
        return _answer(self._given, plan, "command line", self._run, self._asked)


def _answer(given: Given, plan: Plan, door: str, run: str, number: int) -> Answer:
    question = f"{door.replace(' ', '-')}-{plan.digest[:16]}-{number}"
    return Answer(
        decision=given.decision,
        approver=given.approver,
        reason=given.reason,
        confirm=given.confirm,
        door=f"{door}, operating system user {operating_system_user()}",
        at=datetime.now(UTC),
        plan_digest=plan.digest,
        question=question,
        code=given.code,
        signature=given.signed(statement(run, question, plan, given)),
    )
