"""Can a server become a standby of the primary? Everything known before the first change."""

from __future__ import annotations

from runbook import check, fact, note
from runbook.cluster import Cluster
from runbook.errors import CheckFailed
from runbook.replication.survey import survey
from runbook.restore.place import look, whole_place
from runbook.standby import login, proof, requirements, secret
from runbook.standby import target as targets
from runbook.standby.copying import Copying
from runbook.standby.role import role
from runbook.standby.setup import StandbySetup
from tasks import standby_commits, standby_data
from tasks._task import task

_OWN_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@task("find the primary of {name}")
def choose(cluster: Cluster, name: str) -> StandbySetup:
    """Find the one server that accepts writes, the standby-to-be left aside."""
    wanted = cluster.node(name)
    seen = survey(cluster)
    if [node.name for node in seen.writable] == [name] and seen.standbys:
        raise CheckFailed(
            f"{name} is the primary itself",
            detail=seen.told,
            hint="Name the other node as the standby. Its data is replaced, never the primary's.",
        )
    primary = seen.only_writer(but=(wanted,)).located()
    standby = wanted.located()
    data = look(standby.host, standby.directory(), standby.os_user)
    identifier = seen.state(primary).system_identifier
    return StandbySetup(cluster, primary, standby, whole_place(data), identifier)


@task("check that {setup.standby} can follow {setup.primary}")
def fits(setup: StandbySetup, *, replace: bool, synchronous_mode: bool) -> None:
    """Insist on everything that can be known before the first change."""
    _tell(setup)
    standby_commits.fit(setup, wanted=synchronous_mode)
    if setup.in_place():
        note(f"{setup.live} is a copy of {setup.primary} already, and its slot has kept its WAL")
        return
    seen = look(setup.standby.host, setup.live, setup.standby.os_user)
    found = targets.target(setup.standby, seen)
    begun = Copying(setup).is_ready()
    _primary(setup)
    standby_data.directory(setup, found, begun=begun)
    standby_data.server(setup, found)
    standby_data.versions(setup)
    standby_data.room(setup, found, begun=begun)
    standby_data.data(setup, found, replace=replace)
    _role(setup)
    _settings(setup)


def _tell(setup: StandbySetup) -> None:
    primary, standby = setup.primary, setup.standby
    fact("primary", f"{primary} on {primary.host}, {primary.address} port {primary.port}")
    fact("system identifier of the primary", setup.system_identifier)
    fact("standby", f"{standby} on {standby.host} ({standby.host.way})")
    fact("data directory", setup.live)
    fact("slot", f"{setup.slot_name} on {primary}")
    fact("WAL kept for the standby", requirements.settings(primary).slot_limit)


def _primary(setup: StandbySetup) -> None:
    primary = setup.primary
    check(
        f"{primary} has an address that other machines can reach",
        lambda: primary.address not in _OWN_LOOPBACK,
        seen=lambda: f"the address of node {primary} is {primary.address}",
        hint="Set its address in the inventory to the one that the standby connects to.",
    )
    spaces = [space.location for space in primary.tablespaces()]
    check(
        f"{primary} has no tablespaces outside its data directory",
        lambda: not spaces,
        seen=lambda: f"it has {', '.join(spaces)}",
        hint="This page knows none. In a repmgr cluster, standby-rebuild copies them.",
    )
    slot = setup.slot()
    check(
        f"slot {setup.slot_name} is in use by nobody else",
        lambda: slot is None or not slot.active or bool(proof.mine(setup)),
        seen=lambda: f"{slot}, and not by {setup.standby}",
        hint="Look at pg_stat_replication on the primary: who is connected with it?",
    )


def _role(setup: StandbySetup) -> None:
    there, password = role(setup.primary, setup.user), secret.known(setup)
    fact("replication role", f"{setup.user} ({'there already' if there else 'will be created'})")
    check(
        f"role {setup.user} may log in for replication, or does not exist yet",
        lambda: there is None or there.replicates,
        seen=lambda: "it lacks LOGIN or REPLICATION",
        hint=f"It is somebody's role: ALTER ROLE {setup.user} LOGIN REPLICATION by hand, or name "
        "another one (replication.user).",
    )
    check(
        f"the password of {setup.user} is known, or can be made with the role",
        lambda: there is None or bool(password),
        seen=lambda: "the role exists; the settings have no replication_password",
        hint="Set replication_password in the inventory, or name another role (replication.user).",
    )
    answer, wanted = login.knock(setup, password), _lacking(setup)
    if not answer.reached:
        to_judge = "listen_addresses" not in wanted
    else:
        to_judge = not answer.refused or (there is not None and not wanted)
    if to_judge:  # what this run mends is judged when it is mended
        login.insist_on_welcome(setup, answer)


def _lacking(setup: StandbySetup) -> dict[str, str]:
    return dict(requirements.settings(setup.primary).lacking(setup.primary.address))


def _settings(setup: StandbySetup) -> None:
    wanted = _lacking(setup)
    if wanted:
        told = ", ".join(f"{name} = {value}" for name, value in wanted.items())
        fact("RESTART", f"{setup.primary} is restarted, and every session on it ends: {told}")
    others = targets.followers(setup.primary)
    check(
        "no other standby would stop because the primary allows more than it does",
        lambda: "max_wal_senders" not in wanted or not others,
        seen=lambda: f"{others} standbys stream; theirs must be as high before the primary's",
        hint="Raise max_wal_senders on the standbys first, then on the primary.",
    )
