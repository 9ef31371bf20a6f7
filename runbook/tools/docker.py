"""docker, for one container: stopped, held down, given back, and whether it really runs.

podman speaks the same words; it cannot change restart policies (exit code 125), and starts no
container that was stopped by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook.hosts import Command

_SEEN = """engine=$1 container=$2 policy=$3
is_podman() { $engine version 2>/dev/null | grep -qi podman; }
seen=$($engine inspect -f "{{.State.Running}} {{.State.Restarting}} \
{{.HostConfig.RestartPolicy.Name}}" "$container") || exit 2
"""

# A container that dies again and again counts as running for Docker, and as restarting, too.
_RUNNING = _SEEN + 'case $seen in "true false "*) exit 0;; esac; exit 1\n'
_STILL = (
    _SEEN
    + 'case $seen in true*) exit 1;; "false false no"|"false false ") exit 0;; esac; is_podman\n'
)
_UP = (
    _SEEN
    + 'case $seen in "true false $policy") exit 0;; "true false "*) is_podman;; *) exit 1;; esac\n'
)

# In one command, because a server must come back also when nobody waits for it any more. Not by
# `docker restart`: where a policy has started the container anew meanwhile, it waits for the end of
# that one, and kills it. Starting what runs changes nothing.
# Arguments: engine, container, seconds to wait, and the command inside that ends the server.
_RESTART = """engine=$1 container=$2 looks=$((2 * $3)); shift 3
seen() { $engine inspect -f "{{.State.StartedAt}} {{.State.Running}}" "$container"; }
before=$(seen) || exit 2
$engine exec "$@" >/dev/null 2>&1
until now=$(seen) && [ "$now" != "$before" ] && [ "${now##* }" = true ]; do
  looks=$((looks - 1))
  [ "$looks" -gt 0 ] || { echo "container $container was not started anew" >&2; exit 1; }
  $engine start "$container" >/dev/null
  sleep 0.5
done
"""


@dataclass(frozen=True)
class Container:
    """A container by name, the client that manages it, and who may use that."""

    name: str
    engine: tuple[str, ...] = ("docker",)
    user: str = ""

    def start(self) -> Command:
        """Ref.: docker start"""
        return self._command("start", self.name)

    def stop(self, seconds: int) -> Command:
        """Ask it to end; it is killed after so many seconds.

        Ref.: docker stop
        """
        return self._command("stop", "-t", str(seconds), self.name)

    def execute(self, user: str, *argv: str, ok: tuple[int, ...] = (0,)) -> Command:
        """Run a command inside.

        Ref.: docker exec
        """
        return self._command("exec", "-u", user, self.name, *argv, ok=ok)

    def hold(self) -> Command:
        """Let nothing start it again, not even a restart of the daemon.

        Ref.: docker update
        """
        return self._command("update", "--restart=no", self.name, ok=(0, 125))

    def release(self, policy: str) -> Command:
        """Give it a restart policy.

        Ref.: docker update
        """
        return self._command("update", f"--restart={policy}", self.name, ok=(0, 125))

    def restart(self, seconds: int, user: str, *argv: str) -> Command:
        """End the server inside with a command of its own, and start the container again.

        Ref.: docker exec, docker start
        """
        return self._script(_RESTART, str(seconds), "-u", user, self.name, *argv, ok=(0,))

    def is_running(self) -> Command:
        """Exit with 0 while it runs and is not being restarted; 2 where there is none."""
        return self._script(_RUNNING, "")

    def is_still(self) -> Command:
        """Exit with 0 when it does not run and no policy would start it; 2 where there is none."""
        return self._script(_STILL, "")

    def is_up(self, policy: str) -> Command:
        """Exit with 0 while it runs under this restart policy; 2 where there is none."""
        return self._script(_UP, policy)

    def _script(self, script: str, *words: str, ok: tuple[int, ...] = (0, 1)) -> Command:
        argv = ("sh", "-c", script, "container", " ".join(self.engine), self.name, *words)
        return Command(argv, user=self.user, ok=ok, timeout=900)

    def _command(self, *words: str, ok: tuple[int, ...] = (0,)) -> Command:
        return Command((*self.engine, *words), user=self.user, ok=ok, timeout=900)
