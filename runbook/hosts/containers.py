"""Ways into containers: a command in a running one, or in one of its own made from its image."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from runbook.hosts.bosh import Bosh
from runbook.hosts.command import Command
from runbook.hosts.machines import Local, Ssh
from runbook.hosts.process import Process

AnyMachine = Annotated[Local | Ssh | Bosh, Field(discriminator="kind")]

# A container that does not run is a server that does not answer: 2, as psql has it.
_EXEC = """engine=$1 container=$2; shift 2
$engine exec -i "$@"; code=$?
if [ "$code" -ne 0 ] &&
   [ "$($engine inspect -f '{{.State.Running}}' "$container" 2>/dev/null)" != true ]; then
  echo "container $container does not run" >&2; exit 2
fi
exit "$code"
"""

# The same image, network and user as the container has, whether or not that runs. The directory
# bears the name that it has on the machine. --mount refuses one that is not there; -v makes it.
_RUN = """engine=$1 container=$2 user=$3 directory=$4 program=$5; shift 5
seen=$($engine inspect -f '{{.Image}} {{.HostConfig.NetworkMode}}' "$container") || exit 125
exec $engine run --rm -i --user "$user" --network "${seen#* }" \
  ${directory:+"--mount=type=bind,source=$directory,target=$directory"} \
  --entrypoint "$program" "${seen% *}" "$@"
"""


class _Container(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    over: AnyMachine = Field(default=Local(), description="The way into the container's machine.")
    container: str = Field(description="Name of the container.")
    engine: tuple[str, ...] = Field(default=("docker",), description="The container client.")
    engine_user: str = Field(
        default="", description="Operating system user that may use it; empty: the login."
    )
    user: str = Field(default="postgres", description="User inside the container.")

    @property
    def login(self) -> str:
        """Name the user that commands run as, inside."""
        return self.user

    @property
    def machine(self) -> Local | Ssh | Bosh:
        """Give the way into the machine that the container runs on."""
        return self.over

    def close(self) -> None:
        """Close the kept connection to the machine."""
        self.over.close()

    def _start(self, script: str, *words: str) -> Process:
        argv = ("sh", "-c", script, "container", " ".join(self.engine), self.container, *words)
        return self.over.start(Command(argv, user=self.engine_user).wrapped(self.over.login))


class DockerExec(_Container):
    """A running container: docker exec."""

    kind: Literal["docker-exec"] = "docker-exec"

    def __str__(self) -> str:
        return f"{' '.join(self.engine)} exec {self.container} on {self.over}"

    def shown(self, line: str) -> str:
        """Give the line that a person would type on the machine.

        Ref.: docker exec
        """
        return f"{' '.join(self.engine)} exec -i -u {self.user} {self.container} {line}"

    def start(self, argv: tuple[str, ...]) -> Process:
        """Start a command inside; exit code 2 tells that the container does not run."""
        return self._start(_EXEC, "-u", self.user, self.container, *argv)


class DockerRun(_Container):
    """A container for one command, from the image and in the network of a named one."""

    kind: Literal["docker-run"] = "docker-run"
    directory: str = Field(
        default="", description="Directory of the machine to have inside, under the same name."
    )

    def __str__(self) -> str:
        return f"{' '.join(self.engine)} run, as {self.container}, on {self.over}"

    def shown(self, line: str) -> str:
        """Give the line that a person would type on the machine.

        Ref.: docker run
        """
        engine = " ".join(self.engine)
        mount = f" -v {self.directory}:{self.directory}" if self.directory else ""
        image = f"$({engine} inspect -f '{{{{.Image}}}}' {self.container})"
        return f"{engine} run --rm -i -u {self.user}{mount} {image} {line}"

    def start(self, argv: tuple[str, ...]) -> Process:
        """Start a command in a container that is removed when it ends."""
        return self._start(_RUN, self.user, self.directory, *argv)
