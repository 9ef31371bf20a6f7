"""Applications of a cluster: what must stand still while its data is replaced."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runbook import compose
from runbook.actions import Action, Execute
from runbook.commands import Commands
from runbook.hosts import Command, Host
from runbook.repoint import project
from runbook.repoint.change import FileChange
from runbook.repoint.reading import Reading
from runbook.repoint.target import Target
from runbook.repoint.variable import DatabaseVariable


class DockerCompose(BaseModel):
    """A compose project on the application's host."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["docker-compose"] = "docker-compose"
    file: str = Field(description="Path of docker-compose.yml on the host.")
    program: tuple[str, ...] = Field(
        default=("docker-compose",), description='Or ["docker", "compose"] for the plugin.'
    )
    engine: tuple[str, ...] = Field(default=("docker",), description="The container client.")
    services: tuple[str, ...] = Field(default=(), description="Only these; empty: all of them.")
    user: str = Field(default="", description="Operating system user; empty: the login.")
    env: dict[str, str] = Field(default_factory=dict, description="Such as DOCKER_HOST.")
    remove_volumes: bool = Field(
        default=False, description="Stop for a promotion as the page does: down -v, data and all."
    )

    def start(self) -> Command:
        """Ref.: docker compose start"""
        return self.command(self._argv("start"))

    def stop(self) -> Command:
        """Ref.: docker compose stop"""
        return self.command(self._argv("stop"))

    def make(self) -> Command:
        """Make what containers are missing, and start all. Ref.: docker compose up"""
        return self.command((*self._program(), "up", "-d", "--no-recreate", *self.services))

    def made(self) -> Command:
        """Exit with 0 when a container is there, running or not."""
        return self._script(compose.MADE, " ".join(self.services))

    def running(self) -> Command:
        """Exit with 0 while a container of the project runs."""
        return self._script(compose.RUNNING, " ".join(self.services))

    def still(self) -> Command:
        """Exit with 0 when no container runs and no restart policy would start one."""
        return self._script(compose.STILL, " ".join(self.services))

    def up(self, host: Host, *, begun: bool) -> Command:
        """Exit with 0 when every service that is restarted by policy runs under that policy.

        A job that has done its work counts beside something that runs, or if it was `begun` now.
        """
        configuration = self._configuration(host)
        policies = compose.policies(configuration, self.services)
        idle = compose.is_idle(configuration, self.services)
        if not idle and not any(policy != "no" for policy in policies.values()):
            return self.running()
        words = ("idle" if idle else "", "begun" if begun else "")
        return self._script(compose.UP, _pairs(policies), *words)

    def stopping(self, host: Host) -> tuple[Action, ...]:
        """Hold the restart policies down, so that nothing revives a container; then stop.

        What `compose run` has started (a migration, a console) is stopped first: `stop` leaves it.
        """
        ids = " ".join(self._argv("ps", "-a", "-q"))
        engine = " ".join(self.engine)
        shown = (
            f"{engine} update --restart=no $({ids}); {engine} stop those of them that "
            "`compose run` has started and that still run"
        )
        command = self._script(compose.HOLD, " ".join(self.services), ok=(0,))
        return (Execute(host, command, shown=shown), Execute(host, self.stop()))

    def starting(self, host: Host, policies: Mapping[str, str]) -> tuple[Action, ...]:
        """Start, and put the restart policies of the compose file back."""
        command = self._script(compose.RELEASE, _pairs(policies), ok=(0,))
        shown = "; ".join(
            f"{' '.join(self.engine)} update --restart={policy} "
            f"$({' '.join(self._program())} ps -a -q {service})"
            for service, policy in sorted(policies.items())
        )
        release = (Execute(host, command, shown=shown),) if policies else ()
        return (Execute(host, self.start()), *release)

    def stopping_for_promotion(self, host: Host) -> tuple[Action, ...]:
        """Stop, or where the settings say so remove containers and volumes. Ref.: compose down"""
        if not self.remove_volumes:
            return self.stopping(host)
        return (*self.stopping(host), Execute(host, self.command(self._argv("down", "-v"))))

    def refusal(self, variable: DatabaseVariable) -> str:
        """Tell why a database variable cannot be one of this application; empty: it can."""
        named = variable.service and not variable.file
        return "" if named else "docker-compose needs its service, and no file"

    def reading(self, host: Host, variables: Sequence[DatabaseVariable]) -> Reading:
        """Read what the compose file and its env files say about the database."""
        return project.read(self, host, variables)

    def check(
        self, readings: Sequence[Reading], target: Target, changes: Collection[FileChange]
    ) -> None:
        """Let compose judge the new texts of these files, before they are in place."""
        project.check(self, readings, target, changes)

    def recreating(self, host: Host, variables: Sequence[DatabaseVariable]) -> tuple[Action, ...]:  # noqa: ARG002
        """Make all containers anew, with what the files say now. Ref.: docker compose up"""
        return (Execute(host, self.command(self._argv("up", "-d", "--force-recreate"))),)

    def has_taken(self, reading: Reading) -> bool:
        """Ask whether the containers were made with these values, and run."""
        return project.has_taken(self, reading)

    def policies(self, host: Host) -> Mapping[str, str]:
        """Read the restart policy of each service from the compose file, as compose sees it."""
        return compose.policies(self._configuration(host), self.services)

    def _configuration(self, host: Host) -> str:
        return host.run(self.command((*self._program(), "config"))).stdout

    def _program(self) -> tuple[str, ...]:
        return (*self.program, "-f", self.file)

    def _argv(self, verb: str, *more: str) -> tuple[str, ...]:
        return (*self._program(), verb, *more, *self.services)

    def _script(self, script: str, *words: str, ok: tuple[int, ...] = (0, 1)) -> Command:
        words = (" ".join(self.engine), *words, *self._program())
        return self.command(("sh", "-c", script, "compose", *words), ok)

    def command(self, argv: tuple[str, ...], ok: tuple[int, ...] = (0,)) -> Command:
        """Give a command as the project's user, in its environment."""
        return Command(argv, user=self.user, env=tuple(self.env.items()), ok=ok, timeout=300)


AnyApplication = Annotated[DockerCompose | Commands, Field(discriminator="kind")]


class App(BaseModel):
    """An application that uses the cluster, on one host."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(description="Name of the application in plans and records.")
    host: Host = Field(description="The machine it runs on.")
    managed_by: AnyApplication = Field(description="What starts, stops and watches it.")
    health: tuple[str, ...] = Field(
        default=(), description="Names of the cluster's health checks that tell whether it works."
    )
    database: tuple[DatabaseVariable, ...] = Field(
        default=(), description="Variables with the primary's address; changed by a promotion."
    )

    @model_validator(mode="after")
    def _understood(self) -> App:
        for variable in self.database:
            if refusal := self.managed_by.refusal(variable):
                raise ValueError(f"{self.name}: {variable.variable}: {refusal}")
        return self

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"

    @property
    def is_made_anew(self) -> bool:
        """Tell whether a promotion makes it anew, also where nothing of it is there."""
        return bool(self.database) or self.managed_by.remove_volumes

    def is_running(self) -> bool:
        """Ask whether anything of it runs."""
        return self._says(self.managed_by.running())

    def is_still(self) -> bool:
        """Ask whether nothing of it runs, and nothing would restart it."""
        return self._says(self.managed_by.still())

    def is_up(self, *, begun: bool = False) -> bool:
        """Ask whether all of it runs that should, or, `begun` just now, has come to its end."""
        return self._says(self.managed_by.up(self.host, begun=begun))

    def is_made(self) -> bool:
        """Ask whether anything is there that can be started."""
        return self._says(self.managed_by.made())

    def stopping(self) -> tuple[Action, ...]:
        """Give the actions that stop it and hold it down."""
        return self.managed_by.stopping(self.host)

    def starting(self) -> tuple[Action, ...]:
        """Give the actions that start it as it was."""
        return self.managed_by.starting(self.host, self.managed_by.policies(self.host))

    def recreating(self) -> tuple[Action, ...]:
        """Give the actions that start it anew, or as it was where it has no database settings."""
        if not self.is_made_anew:
            return self.starting()
        return self.managed_by.recreating(self.host, self.database)

    def _says(self, question: Command) -> bool:
        return self.host.run(question).exit_code == 0


def _pairs(policies: Mapping[str, str]) -> str:
    return " ".join(f"{service}={policy}" for service, policy in sorted(policies.items()))
