"""Containers of a compose project: which run, and what would restart them.

podman's socket answers `docker update` with "Not Found": there a policy cannot be held down, and
the scripts let it pass. It restarts no container that was stopped by hand while it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from runbook.errors import SettingsError

# A container that dies again and again counts as running for Docker, and is restarted by policy.
# The plugin's `ps` lists what has stopped only with -a, which docker-compose before 1.25 lacks.
# The first argument of each script is the container client, the last are the compose program and
# its file. A one-off of `compose run` is held like the rest, and is no part of a service that runs;
# compose `stop` leaves it running. What is gone between listing and question is asked for again.
# Ref.: docker inspect, docker update, docker compose ps, docker compose stop
LISTING = """engine=$1; shift
every() {
  of=$1; shift
  "$@" ps -a -q $of 2>/dev/null || "$@" ps -q $of || exit 2
}
is_one_off() {
  label='{{index .Config.Labels "com.docker.compose.oneoff"}}'
  [ "$($engine inspect -f "$label" "$1")" = True ]
}
own() {
  listed=$(every "$@") || exit 2
  for id in $listed; do is_one_off "$id" || echo "$id"; done
}
is_podman() { $engine version 2>/dev/null | grep -qi podman; }
state() {
  $engine inspect -f "{{if .State.Restarting}}dying{{else}}{{.State.Running}}{{end}} \
{{.HostConfig.RestartPolicy.Name}}" "$1"
}
"""

RUNNING = (
    LISTING
    + """all=$(own "$@") || exit 2
for id in $all; do case $(state "$id") in true*|dying*) exit 0;; esac; done
exit 1
"""
)

STILL = (
    LISTING
    + """all=$(every "$@") || exit 2
for id in $all; do
  seen=$(state "$id") || exit 1
  case $seen in true*|dying*) exit 1;; "false "|"false no") ;; *) is_podman || exit 1;; esac
done
"""
)

HOLD = (
    LISTING
    + """all=$(every "$@") || exit 2
if [ -z "$all" ]; then exit 0; fi
hold() { $engine update --restart=no "$@" >/dev/null; }
hold $all || {
  if is_podman; then echo "podman cannot change restart policies; they stay as they are"
  else for id in $all; do hold "$id" || ! state "$id" >/dev/null 2>&1 || exit 1; done; fi
}
runs() { case $(state "$1" 2>/dev/null) in true*|dying*) ;; *) return 1;; esac; }
once=
for id in $all; do if runs "$id" && is_one_off "$id"; then once="$once $id"; fi; done
if [ -z "$once" ]; then exit 0; fi
$engine stop $once >/dev/null && exit 0
for id in $once; do if runs "$id"; then exit 1; fi; done
"""
)

# A service without any container is scaled to 0; where there is none at all, they were removed.
# A job that its policy restarts after a failure has done its work where it has ended without one;
# podman cannot be told to hold it, so there nothing would tell that from a stop. Nor does anything
# tell it from a service that ends with 0 and was stopped by hand: it counts beside one that runs,
# or, after a start ("begun" as the third word), alone.
UP = (
    LISTING
    + """pairs=$1; some=$2; runs=$3; shift 3
jobs=
is_done() {
  [ "$($engine inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$1")" = "exited 0" ]
}
for pair in $pairs; do
  policy=${pair#*=}; name=${policy%%:*}
  all=$(own "${pair%%=*}" "$@") || exit 2
  some=$some$all
  for id in $all; do
    seen=$(state "$id")
    case $seen in true*) runs=yes;; esac
    if [ "$policy" = no ]; then continue; fi
    case $seen in
      "true $name") ;;
      true*) is_podman || exit 1;;
      "false on-failure") is_done "$id" && ! is_podman || exit 1; jobs=yes;;
      *) exit 1;;
    esac
  done
done
[ -n "$some" ] && { [ -z "$jobs" ] || [ -n "$runs" ]; }
"""
)

MADE = (
    LISTING
    + """all=$(own "$@") || exit 2
[ -n "$all" ]
"""
)

RELEASE = (
    LISTING
    + """pairs=$1; shift
for pair in $pairs; do
  all=$(own "${pair%%=*}" "$@") || exit 2
  if [ -z "$all" ]; then continue; fi
  $engine update "--restart=${pair#*=}" $all >/dev/null || is_podman || exit 1
done
"""
)


def policies(configuration: str, services: Sequence[str] = ()) -> Mapping[str, str]:
    """Read the restart policy of each service, "no" where there is none.

    `configuration` is what `docker compose config` prints.
    """
    return {name: _policy(body) for name, body in _services(configuration, services).items()}


def is_idle(configuration: str, services: Sequence[str] = ()) -> bool:
    """Tell whether the compose file itself scales every service to 0: nothing of it shall run."""
    found = _services(configuration, services)
    return bool(found) and all(_is_scaled_to_nothing(body) for body in found.values())


def _services(configuration: str, wanted: Sequence[str]) -> Mapping[str, object]:
    try:
        tree = YAML(typ="safe").load(configuration)
    except YAMLError as error:
        raise SettingsError("docker compose config printed no YAML", detail=str(error)) from error
    found = tree.get("services", {}) if isinstance(tree, dict) else {}
    return {name: body for name, body in found.items() if not wanted or name in wanted}


def _is_scaled_to_nothing(body: object) -> bool:
    """Ref.: Compose specification, scale and deploy.replicas"""
    if not isinstance(body, dict):
        return False
    deploy = body.get("deploy")
    return 0 in (body.get("scale"), deploy.get("replicas") if isinstance(deploy, dict) else None)


def _policy(body: object) -> str:
    policy = body.get("restart") if isinstance(body, dict) else None
    return policy if isinstance(policy, str) else "no"
