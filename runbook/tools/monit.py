"""monit, for one process that it supervises: told, waited for, and looked at.

monit only takes an order and goes on by itself. One that comes while another is under way is
refused (5.2, which BOSH has) or replaces it (5.33); one that comes while monit reloads is lost,
with exit code 0. Without its daemon monit carries an order out by itself and supervises nothing.
So every order here waits for the one before, asks what has become of it, and is given again if
need be.
"""

from __future__ import annotations

from runbook.hosts import Command

_ORDER_SECONDS = 600
START_SECONDS = 90
"""Patience with a start that monit repeats because it fails."""

# `status` tells all in full, and takes no name in 5.2; `summary` cuts long words. `seen` becomes
# "<monitoring status>/<status>/<pid>" in lower case, such as "monitored/ok - stop pending/123".
_SEE = """monit=$1 process=$2; shift 2
see() {
  told=$("$monit" status 2>&1) || return 1
  seen=$(printf '%s\\n' "$told" | awk -v "name='$process'" '
    /^[^ ]/ { sub(/ +$/, ""); inside = $0 == "Process " name; found = found || inside; next }
    !inside { next }
    { gsub(/^ +| +$/, ""); value = $0 }
    /^monitoring status / { sub(/^monitoring status +/, "", value); watched = value }
    /^status / { sub(/^status +/, "", value); status = value }
    /^pid / { sub(/^pid +/, "", value); pid = value }
    END { if (found) print tolower(watched "/" status "/" pid) }')
  [ -n "$seen" ] || { told="it has no process of this name"; return 1; }
}
"""

# A daemon that reloads is away for a moment, and has every process initializing afterwards.
_SETTLED = """
settled() {
  mute=0
  while :; do
    if see; then
      mute=0
      case $seen in *pending*|initializing*|*/initializing*) ;; *) return 0;; esac
    else
      mute=$((mute + 1))
      [ "$mute" -lt 12 ] || {
        echo "monit tells nothing of process $process: $told" >&2; exit 3; }
    fi
    [ "$(date +%s)" -lt "$end" ] || {
      echo "monit has not come to rest: $process is $seen" >&2; exit 1; }
    sleep 0.5
  done
}
"""

# Arguments: the order, seconds to wait in all, and for how many of them a start may fail. Orders of
# ours wait for each other: a stop that an unmonitor replaces would look like one that was obeyed.
# What monit itself may start must not keep the lock.
_ORDER = (
    _SEE
    + _SETTLED
    + """order=$1 patience=$3
end=$(($(date +%s) + $2))
exec 9>/run/pg-runbooks-monit.lock && flock -w "$2" 9 || {
  echo "another order to monit has not come to its end" >&2; exit 1; }
settled
before=$seen
for attempt in 1 2 3 4 5; do
  said=$("$monit" "$order" "$process" 2>&1 9>&-)
  settled
  case $order/$seen in
    stop/not*|unmonitor/not*|start/monitored*|start/waiting*|monitor/monitored*|monitor/waiting*)
      break;;
    restart/monitored*) [ "${seen##*/}" = "${before##*/}" ] || break;;
  esac
  [ "$attempt" -lt 5 ] || {
    echo "monit was told to $order $process, and it is $seen. $said" >&2; exit 1; }
  sleep 1
done
case $order/$before in
  stop/not*) echo "$process was not monitored, and monit stops only what it watches: if it runs," \
    "let monit watch it (monit monitor $process)" >&2;;
esac
give_up=$(($(date +%s) + patience))
while [ "$patience" -gt 0 ]; do
  case $seen in *"does not exist"*|*"execution failed"*) ;; *) exit 0;; esac
  [ "$(date +%s)" -lt "$give_up" ] || {
    echo "monit tries again and again to start $process: $seen. Its log tells more" >&2; exit 1; }
  sleep 0.5
  settled
done
"""
)

# Arguments: the program's name as the kernel has it.
_PIDS = """
pids() {
  for process_directory in /proc/[0-9]*; do
    read -r name <"$process_directory/comm" || continue
    [ "$name" != "$1" ] || printf '%s ' "${process_directory#/proc/}"
  done 2>/dev/null
}
"""

_HELD = (
    _SEE
    + 'see || exit 1\ncase $seen in *pending*) exit 1;; "not monitored"*) exit 0;; esac; exit 1\n'
)

_STOPPED = (
    _SEE
    + _PIDS
    + """see || exit 2
case $seen in *pending*) exit 1;; "not monitored"*) ;; *) exit 1;; esac
[ -z "$(pids "$1")" ]
"""
)

# Arguments: the program's name, and how many tenths of a second one of them must last.
_RUNNING = (
    _SEE
    + _PIDS
    + """see || exit 2
case $seen in *pending*|*"not exist"*|*failed*) exit 1;; monitored*) ;; *) exit 1;; esac
lasting=$(pids "$1") looks=$2
while [ -n "$lasting" ]; do
  [ "$looks" -gt 0 ] || exit 0
  looks=$((looks - 1)); sleep 0.1
  before=$lasting lasting=
  for pid in $(pids "$1"); do
    case " $before " in *" $pid "*) lasting="$lasting $pid";; esac
  done
done
exit 1
"""
)


def start(program: str, process: str, *, patience: int = START_SECONDS) -> Command:
    """Start a process, and all that it depends on; what depends on it stays as it is (5.33).

    It exits with 1 when monit has tried in vain for `patience` seconds; 0: that is not looked at.

    Ref.: monit(1), start
    """
    return _order(program, process, "start", patience=patience)


def stop(program: str, process: str) -> Command:
    """Stop a process after all that depend on it, and keep monit from starting them again.

    Ref.: monit(1), stop
    """
    return _order(program, process, "stop")


def restart(program: str, process: str) -> Command:
    """Stop a process and all that depend on it, and start all of them.

    Ref.: monit(1), restart
    """
    return _order(program, process, "restart", patience=START_SECONDS)


def unmonitor(program: str, process: str) -> Command:
    """Keep monit from starting a process and all that depend on it; what runs goes on.

    Ref.: monit(1), unmonitor
    """
    return _order(program, process, "unmonitor")


def monitor(program: str, process: str) -> Command:
    """Let monit watch a process again; it starts one that does not run.

    Ref.: monit(1), monitor
    """
    return _order(program, process, "monitor")


def is_held(program: str, process: str) -> Command:
    """Exit with 0 when monit would not start the process by itself.

    Ref.: monit(1), status
    """
    return _look(_HELD, program, process)


def is_stopped(program: str, process: str, command: str) -> Command:
    """Exit with 0 when no `command` runs on the machine and monit would not start the process.

    Ref.: monit(1), status
    """
    return _look(_STOPPED, program, process, command[:15])


def is_running(program: str, process: str, command: str) -> Command:
    """Exit with 0 when a `command` runs, lasts for a second, and monit watches the process.

    monit's own word is not enough: it calls a script running that only waits.

    Ref.: monit(1), status
    """
    return _look(_RUNNING, program, process, command[:15], "10")


def _order(program: str, process: str, order: str, *, patience: int = 0) -> Command:
    argv = ("sh", "-c", _ORDER, "monit", program, process, order)
    limits = (str(_ORDER_SECONDS), str(patience))
    shown = f"{program} {order} {process}"
    return Command((*argv, *limits), user="root", timeout=2.0 * _ORDER_SECONDS, shown=shown)


def _look(script: str, program: str, process: str, *more: str) -> Command:
    argv = ("sh", "-c", script, "monit", program, process, *more)
    return Command(argv, user="root", ok=(0, 1), timeout=60)
