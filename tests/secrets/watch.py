"""Runs runbooks and searches everything that they write, answer or start for secrets."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IMODE

import orjson

from deployments.cli.audit_text import lines_of, show_table
from runbook.audit.chain import walk
from runbook.audit.export import as_csv, as_json
from runbook.audit.history import past_runs
from runbook.audit.report.period import period
from runbook.audit.report.period_page import period_page
from runbook.audit.report.run_page import run_page
from runbook.audit.report.run_view import view
from tests.laws.outcome import Outcome
from tests.secrets.markers import Markers
from tests.secrets.sampler import Sampler

_TOO_LARGE = 64 << 20
HOMES = (Path.home(), Path("~postgres").expanduser())


@dataclass
class Watch:
    """What is searched: folders by channel, one state directory, and what runs have answered.

    `kept` are the files that a secret must be in; they are nobody else's to read.
    """

    markers: Markers
    state: Path
    folders: dict[str, tuple[Path, ...]]
    kept: set[Path] = field(default_factory=set)
    homes: tuple[Path, ...] = HOMES
    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    """What programs printed and a server answered, by channel."""

    def keep(self, runbook: str, outcome: Outcome) -> Outcome:
        """Take in what a run has answered."""
        self.ran.append(runbook)
        self.outcomes.append((runbook, outcome))
        return outcome

    def done(self, runbook: str, outcome: Outcome) -> Outcome:
        """Take in a run that must have come to its end."""
        assert self.keep(runbook, outcome).completed, f"{runbook}: {outcome.said}"
        return outcome

    @contextmanager
    def sampling(self) -> Iterator[Sampler]:
        """Look at all processes for the time of a block."""
        with Sampler(self.markers) as sampler:
            yield sampler

    def findings(self, sampler: Sampler) -> dict[str, str]:
        """Give every channel in which a secret was seen, and what stands around it."""
        found = {
            channel: seen
            for channel, content in self._contents()
            if (seen := self.markers.seen_in(content))
        }
        return {**found, **sampler.found}

    def loose_files(self) -> list[Path]:
        """Name the files with a secret that others than their owner may read, or that are gone."""
        return [
            path for path in self.kept if not path.is_file() or S_IMODE(path.stat().st_mode) & 0o077
        ]

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        for channel, roots in {**self.folders, "state directory": (self.state,)}.items():
            for path in files_under(*roots):
                if path not in self.kept:
                    yield f"{channel}: {path}", _content(path)
        for home in self.homes:
            for path in home.glob(".*history"):
                yield f"shell history: {path}", _content(path)
        for path in Path("/tmp").glob("tmp.*"):
            yield f"left in /tmp: {path}", _content(path)
        for runbook, outcome in self.outcomes:
            yield f"answer of {runbook}", _answered(outcome)
        yield from self.answers
        for channel, text in self._reviewed():
            yield channel, text.encode()

    def _reviewed(self) -> Iterator[tuple[str, str]]:
        """Give the records as the audit commands show them."""
        audit = self.state / "audit"
        for path in sorted(audit.glob("*.jsonl")):
            yield f"report of run {path.stem}", run_page(path, ())
            seen = view(path.stem, walk(path.read_bytes()).entries)
            yield f"audit show {path.stem}", "\n".join(lines_of(seen))
        runs, now = past_runs(audit), datetime.now(UTC)
        yield "report of a period", period_page(period(runs, now - timedelta(1), now), "", (), "")
        yield "audit export, CSV", "".join(as_csv(runs))
        yield "audit export, JSON", "".join(as_json(runs))
        with redirect_stdout(io.StringIO()) as shown:
            show_table(runs)
        yield "audit list", shown.getvalue()


def files_under(*roots: Path) -> Iterator[Path]:
    """List regular files; a folder that has gone meanwhile has none."""
    for root in roots:
        for path in (root, *root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_TOO_LARGE)
    except OSError:
        return b""


def _answered(outcome: Outcome) -> bytes:
    plan = outcome.plan.model_dump_json() + outcome.plan.markdown() if outcome.plan else ""
    memory = orjson.dumps(dict(outcome.memory), default=repr).decode()
    return f"{outcome.ended} {outcome.said} {plan} {memory}".encode()
