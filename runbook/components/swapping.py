"""New databases on their way into the places of the old ones."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.actions import Action, Execute
from runbook.components import statements
from runbook.components.restoring import ComponentRestore
from runbook.goals import note
from runbook.postgres import Node
from runbook.run import current

RENAME_SECONDS = 60.0


@dataclass(frozen=True)
class Swapping:
    """All databases of a restore: they change places together, or none does."""

    jobs: tuple[ComponentRestore, ...]

    def __str__(self) -> str:
        return ", ".join(job.database for job in self.jobs)

    @property
    def node(self) -> Node:
        """Give the primary."""
        return self.jobs[0].node

    def is_done(self) -> bool:
        """Tell whether every restored database bears its name."""
        return all(job.in_place() for job in self.jobs)

    def actions(self) -> list[Action]:
        """Give what closes and empties the old databases, and renames all in one transaction."""
        waiting = [job for job in self.jobs if not job.in_place()]
        old = [job.database for job in waiting if job.standing()]
        pairs = [pair for job in waiting for pair in job.renames()]
        for target, name in pairs:
            if target in old:
                note(f"the old {target} is kept as {name}, closed, until discard-databases")
        kept = [statements.unmarking(name) for target, name in pairs if target in old]
        return [
            *(self._sql(statements.closing(name, current().id)) for name in old),
            self._sql(statements.ending([*old, *(job.database_of_proof() for job in waiting)])),
            self._sql("; ".join([statements.renaming(pairs), *kept])),
        ]

    def _sql(self, sql: str) -> Action:
        return Execute(self.node.console, self.node.statement(sql, timeout=RENAME_SECONDS))
