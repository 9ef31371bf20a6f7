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
# The first argument of each is the container client; a command that lists ids, or begins one, the
# rest. Ref.: docker inspect, docker update
_IDS = """engine=$1; shift
ids() { "$@" || exit 2; }
is_podman() { $engine version 2>/dev/null | grep -qi podman; }
state() {
  $engine inspect -f "{{if .State.Restarting}}dying{{else}}{{.State.Running}}{{end}} \
{{.HostConfig.RestartPolicy.Name}}" "$1"
}
"""

RUNNING = (
    _IDS
    + """all=$(ids "$@") || exit 2
for id in $all; do case $(state "$id") in true*|dying*) exit 0;; esac; done
exit 1
"""
)

STILL = (
    _IDS
    + """all=$(ids "$@") || exit 2
for id in $all; do
  seen=$(state "$id") || exit 2
  case $seen in true*|dying*) exit 1;; "false "|"false no") ;; *) is_podman || exit 1;; esac
done
"""
)

HOLD = (
    _IDS
    + """all=$(ids "$@") || exit 2
if [ -z "$all" ]; then exit 0; fi
$engine update --restart=no $all >/dev/null && exit 0
is_podman && echo "podman cannot change restart policies; they stay as they are"
"""
)

UP = (
    _IDS
    + """pairs=$1; shift
for pair in $pairs; do
  policy=${pair#*=}; name=${policy%%:*}
  if [ "$policy" = no ]; then continue; fi
  all=$(ids "$@" ps -q "${pair%%=*}") || exit 2
  for id in $all; do
    case $(state "$id") in "true $name") ;; true*) is_podman || exit 1;; *) exit 1;; esac
  done
done
"""
)

RELEASE = (
    _IDS
    + """pairs=$1; shift
for pair in $pairs; do
  all=$(ids "$@" ps -q "${pair%%=*}") || exit 2
  if [ -z "$all" ]; then continue; fi
  $engine update "--restart=${pair#*=}" $all >/dev/null || is_podman || exit 1
done
"""
)


def policies(configuration: str, services: Sequence[str] = ()) -> Mapping[str, str]:
    """Read the restart policy of each service, "no" where there is none.

    `configuration` is what `docker compose config` prints.
    """
    try:
        tree = YAML(typ="safe").load(configuration)
    except YAMLError as error:
        raise SettingsError("docker compose config printed no YAML", detail=str(error)) from error
    found = tree.get("services", {}) if isinstance(tree, dict) else {}
    wanted = {name: body for name, body in found.items() if not services or name in services}
    return {name: _policy(body) for name, body in wanted.items()}


def _policy(body: object) -> str:
    policy = body.get("restart") if isinstance(body, dict) else None
    return policy if isinstance(policy, str) else "no"
