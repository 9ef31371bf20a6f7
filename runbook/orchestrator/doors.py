"""Doors of a machine that must be off, and whether a second one has the address of the new one."""

from __future__ import annotations

import errno
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from runbook.errors import CommandFailed
from runbook.hosts import Command, Host

KNOCK = """for needed in bash timeout; do
  command -v "$needed" >/dev/null || { echo "no $needed to ask with" >&2; exit 3; }
done
knock() {
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' knock "${1%:*}" "${1##*:}" && echo "$1"
} 2>/dev/null
set -- $(for door; do knock "$door" & done; wait)
own=${SSH_CONNECTION#* * }
if [ "$own" ] && ! knock "${own% *}:${own#* }" >/dev/null; then
  echo "not even the own door $own is seen open" >&2; exit 3
fi
echo "$@"
"""
"""Tells the doors that take a connection; refused, swallowed and no route are silence.

Whether one would be seen at all is tried at one's own: where SSH has come in.
"""

TWIN = """set -- "$1" $(ip -o address show to "$1" 2>/dev/null)
[ "$3" ] && arping -V 2>/dev/null | grep -q iputils || { echo 'not asked'; exit 0; }
case $(ip -o link show dev "$3") in *LOOPBACK*|*NOARP*) echo 'not asked'; exit 0;; esac
arping -q -D -c 3 -w 5 -I "$3" "$1" >/dev/null 2>&1
case $? in 0) echo alone;; 1) echo twin;; *) echo 'not asked';; esac
"""
"""Tells whether another machine of the network has an address of this one, where arping can ask."""

_PROBE_SECONDS = 3.0
_SILENCE = {
    *(errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH),
    *(errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT),
}


@dataclass(frozen=True)
class Doors:
    """Places, `address:port`, that nobody may answer at, asked from the worker and a witness."""

    places: tuple[str, ...]
    witness: Host

    def __str__(self) -> str:
        return ", ".join(self.places)

    def answering(self) -> tuple[str, ...]:
        """Name those that take a connection, and from where."""
        if not self.places:
            return ()
        with ThreadPoolExecutor(max_workers=len(self.places)) as beside:
            seen = list(beside.map(_is_open, self.places))
            argv = ("sh", "-c", KNOCK, "knock", *self.places)
            there = self.witness.run(Command(argv, timeout=60)).stdout.split()
        mine = [place for place, is_open in zip(self.places, seen, strict=True) if is_open]
        return (
            *(f"{place}, asked from the worker" for place in mine),
            *(f"{place}, asked from {self.witness}" for place in there),
        )

    def stay_shut(self, looks: int, pause: float = 0.3) -> bool:
        """Look several times; False as soon as anybody answers."""
        for look in range(looks):
            time.sleep(pause if look else 0.0)
            if self.answering():
                return False
        return True


def has_twin(host: Host, address: str) -> bool | None:
    """Tell whether another machine has an address of this one, too; None where nobody can ask.

    Ref.: arping(8) of iputils, -D; ip-address(8)
    """
    said = host.ask(Command(("sh", "-c", TWIN, "twin", address), timeout=60)).stdout.strip()
    return {"alone": False, "twin": True}.get(said)


def _is_open(place: str) -> bool:
    address, _, port = place.rpartition(":")
    try:
        with socket.create_connection((address, int(port)), timeout=_PROBE_SECONDS):
            return True
    except (TimeoutError, socket.gaierror):
        return False
    except OSError as error:
        if error.errno in _SILENCE:
            return False
        raise CommandFailed(
            f"the worker cannot ask whether anybody answers at {place}",
            detail=str(error),
            hint="Not to be able to ask is no silence. Remove the cause on the worker.",
        ) from error
