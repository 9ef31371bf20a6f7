"""The launcher: server, registration, reaper and worker in one, drained when it is stopped."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW,
    temporary_settings,
)

from deployments import pool
from deployments.carried import carried
from deployments.children import Child, child, end_left_behind, last_lines, left_behind
from deployments.listeners import is_taken
from deployments.login import insist_on_own_login, login_environment
from deployments.openness import openness
from deployments.reach import insist_on_server
from deployments.reaper import Reaped, reap
from deployments.register import Registered, register
from deployments.settings import POOL, ControlRoom
from flows._own_database import own_database_url
from flows._watch import told
from runbook.errors import RunbookError, Unreachable
from runbook.units import readable_seconds

_REAP_EVERY_SECONDS = 60.0
_REST_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_STOP_SECONDS = 20.0
_PORT_SECONDS = 5.0

Tell = Callable[[str], None]


@dataclass
class Launcher:
    """Puts the product to work on this machine.

    `drain` is how many seconds running steps get to end when it is stopped; `limit` is how many
    runs the worker carries at once. Without `server` it joins the one at PREFECT_API_URL.
    `longest` is how many seconds it waits for the runs that a killed launcher has left at work.
    """

    room: ControlRoom
    tell: Tell
    server: bool = True
    timezone: str = ""
    drain: float = 60.0
    limit: int = 5
    packages: tuple[str, ...] = ("flows",)
    patience: float = 90.0
    longest: float = 24 * 3600.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Work until `stop` is called or TERM or INT arrives; leave nothing running."""
        with _signals(self.stop), self.running():
            self.watch()

    def stop(self) -> None:
        """Ask for the end; `run` then drains."""
        self.stopping.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold server and worker up for the time of a block, and drain at its end."""
        self.room.state.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(_only_launcher(self.room.state))
            settings = {
                PREFECT_API_URL: self.room.api,
                PREFECT_HOME: self.room.state / "prefect",
                PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore",
            }
            stack.enter_context(temporary_settings(settings))
            self._take_over()
            if self.server:
                insist_on_own_login()
                self._insist_on_port()
                self._start_server(stack)
            insist_on_server(self.room.api, patience=self.patience, given_up=self.stopping.is_set)
            self._say_openness()
            self._say_unguarded()
            self._say_registered(register(self.timezone, self.packages))
            self._say_reaped(reap(self.room.state, alone=pool.no_other_worker()))
            pool.resume(self.room.state)
            self._start_worker(stack)
            yield

    def watch(self) -> None:
        """Reap every minute, until stopped or until a child cannot be started again.

        A server or worker that has ended is started again; the runs under way need neither of them.
        """
        due = time.monotonic() + _REAP_EVERY_SECONDS
        while not self.stopping.wait(_LOOK_SECONDS):
            for one in self._children:
                if not one.is_running and time.monotonic() >= one.rests_until:
                    self._start_again(one)
            if time.monotonic() >= due:
                told(lambda: self._say_reaped(reap(self.room.state)))
                due = time.monotonic() + _REAP_EVERY_SECONDS

    def _start_again(self, ended: Child) -> None:
        """Start what has ended; where that is in vain it rests, or is given up when nothing runs.

        To give up would end the worker, and with it the runs that it carries.
        """
        try:
            if ended.ends_at_once(_REST_SECONDS):
                _insist_on(ended)
            self.tell(f"the {ended.name} has ended by itself and is started again: {ended.log}")
            ended.start()
            if ended.name == "server":
                self._await_server(ended)
        except RunbookError as error:
            if self.stopping.is_set() or not carried(self.room.state):
                raise
            ended.stop(_STOP_SECONDS)
            ended.rests_until = time.monotonic() + _REST_SECONDS
            self.tell(
                f"WARNING: {error.message}. Runs go on meanwhile, and it is started again in "
                f"{_REST_SECONDS:.0f} s. Its log: {ended.log}"
            )

    def __post_init__(self) -> None:
        self._children: list[Child] = []
        if not self.server:
            elsewhere = os.environ.get("PREFECT_API_URL", "")
            self.room = replace(self.room, elsewhere=self.room.elsewhere or elsewhere)

    def _insist_on_port(self) -> None:
        """Refuse where another program has the port: its server would be taken for ours.

        What was just ended may have it for a moment longer.
        """
        until = time.monotonic() + _PORT_SECONDS
        while is_taken(self.room.host, self.room.port):
            if time.monotonic() > until:
                raise RunbookError(
                    f"something already listens on {self.room.host}:{self.room.port}",
                    detail="nothing was started, and nothing was registered there",
                    hint="End it, or give this server another port with --port. If it is the "
                    "Prefect server that you want, join it: "
                    f"PREFECT_API_URL={self.room.api} pg-runbooks up --no-server",
                )
            time.sleep(_LOOK_SECONDS)

    def _start_server(self, stack: ExitStack) -> None:
        argv = ("prefect", "server", "start", "--host", self.room.host, "--port")
        self._await_server(self._start(stack, "server", (*argv, str(self.room.port))))

    def _await_server(self, server: Child) -> None:
        began = time.monotonic()
        while not _healthy():
            _insist_on(server)
            if self.stopping.is_set() or time.monotonic() - began > self.patience:
                raise Unreachable(
                    f"the Prefect server does not answer at {self.room.api}",
                    detail=last_lines(server.log),
                    hint=f"Its log: {server.log}",
                )
            time.sleep(_LOOK_SECONDS)
        self.tell(f"server: {self.room.ui} after {time.monotonic() - began:.1f} s")

    def _start_worker(self, stack: ExitStack) -> None:
        argv = ("deployments.worker", "worker", "start", "--pool", POOL, "--type", "process")
        name = pool.worker_name()
        more = ("--limit", str(self.limit), "--install-policy", "never", "--name", name)
        self._start(stack, "worker", (*argv, *more))
        stack.callback(self._drain)
        self.tell(f"worker: pool {POOL}, at most {self.limit} runs at once")

    def _start(self, stack: ExitStack, name: str, argv: tuple[str, ...]) -> Child:
        environment = {**self.room.environment(), **login_environment()}
        started = stack.enter_context(
            child(name, argv, environment, self.room.state, _STOP_SECONDS)
        )
        self._children.append(started)
        return started

    def _drain(self) -> None:
        """Take no new run, let running steps end, end what is left, and say so in its state."""
        told(lambda: pool.pause(self.room.state))
        told(self._await_runs)
        worker = self._children[-1]
        worker.stop(_STOP_SECONDS)
        told(lambda: self._say_reaped(reap(self.room.state, alone=pool.no_other_worker())))
        told(lambda: pool.resume(self.room.state))

    def _take_over(self) -> None:
        """End what a killed launcher has left running, when the runs that it carries have ended."""
        if left_behind(self.room.state):
            self._await_ends()
            if self.stopping.is_set():
                self._await_runs()
        for name in end_left_behind(self.room.state):
            self.tell(f"ended the {name} that an earlier launcher had left running")

    def _await_ends(self) -> None:
        """Wait until no process here carries a run, or until somebody asks for a stop.

        One that hangs never ends: nothing is ended for that, but it is told as an error. Those that
        were handed out meanwhile have their own time.
        """
        first = running = carried(self.room.state)
        self._say_waiting(running.values())
        until = time.monotonic() + self.longest
        while running and not self.stopping.is_set():
            first = {run: running[run] for run in first if run in running}
            if not first:
                first, until = running, time.monotonic() + self.longest
            if time.monotonic() > until:
                raise _too_long(first.values(), self.longest, self.drain)
            time.sleep(_LOOK_SECONDS * 5)
            running = carried(self.room.state)

    def _await_runs(self) -> None:
        """Give running steps their time; it begins when they are known: a server may be slow."""
        running = carried(self.room.state, certain=False)
        self._say_waiting(running.values())
        until = time.monotonic() + self.drain
        while running and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS * 5)
            running = carried(self.room.state, certain=False)

    def _say_waiting(self, runs: Iterable[str]) -> None:
        if runs:
            self.tell(f"waiting for {', '.join(runs)}")

    def _say_openness(self) -> None:
        """Say it where the API answers without a login: all control over runs lies behind it."""
        seen = openness(self.room.api)
        if seen.gravity:
            self.tell(f"{seen.gravity.upper()}: {seen.message}. {seen.hint}".rstrip())

    def _say_unguarded(self) -> None:
        """Say it where a worker cannot keep its runs from the database that Prefect lives in."""
        if not self.server and not own_database_url().startswith("postgresql"):
            self.tell(
                "WARNING: this worker does not know Prefect's own database, and keeps no run from "
                "it. Where the server has PostgreSQL, set PREFECT_API_DATABASE_CONNECTION_URL here."
            )

    def _say_registered(self, done: Iterable[Registered]) -> None:
        for one in done:
            self.tell(str(one))

    def _say_reaped(self, done: Iterable[Reaped]) -> None:
        for one in done:
            self.tell(f"run {one.name} ({one.run}): {one.outcome}. {one.why}")


def _too_long(running: Iterable[str], seconds: float, drain: float) -> RunbookError:
    return RunbookError(
        f"{', '.join(running)}: still at work after {readable_seconds(seconds)}",
        detail="it was at work when this began to wait, as after a launcher that was killed; "
        "nothing was ended",
        hint="Where it works, start this again, which waits again. Where it hangs: cancel it in "
        "Prefect; or start this again and stop it with Ctrl-C or systemctl stop: running steps get "
        f"{readable_seconds(drain)} (--drain), what is left is ended; then start it, and that run, "
        "once more.",
    )


def _insist_on(started: Child) -> None:
    if not started.is_running:
        raise RunbookError(
            f"the {started.name} has ended with exit code {started.process.returncode}",
            detail=last_lines(started.log),
            hint=f"Its log: {started.log}"
            + (". Is another program listening on that port?" if started.name == "server" else ""),
        )


def _healthy() -> bool:
    with get_client(sync_client=True) as client:
        return client.api_healthcheck() is None


@contextmanager
def _only_launcher(state: Path) -> Iterator[None]:
    """Keep a second launcher out; the kernel forgets the lock with the process."""
    descriptor = os.open(state / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise RunbookError(
            f"a launcher already runs with the state directory {state}",
            hint="Stop that one first, or give this one another PG_RUNBOOKS_STATE.",
        ) from None
    finally:
        os.close(descriptor)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Turn TERM and INT into a request to stop, for the time of a block."""
    wanted = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stop()) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
