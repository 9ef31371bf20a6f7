"""repmgr's metadata: right before a promotion, and right after it."""

from __future__ import annotations

import ipaddress

from runbook import check, ensure, note
from runbook.actions import Execute
from runbook.postgres import Node
from runbook.replication.handover import Handover
from runbook.replication.members import Member, leaders, members, repmgr_of, repmgr_program
from runbook.tools import repmgr
from tasks._task import task

_UNSET = "127.0.0.1"  # the default of the setting, which no other node could reach


def fits(job: Handover) -> None:
    """Insist that the metadata know the new primary and agree with the settings."""
    row = job.row(job.new)
    if job.mode == "planned":
        check(
            f"{job.new} is in service for repmgr",
            lambda: row.active and row.type == "standby",
            seen=lambda: f"the metadata say: {row.type}, active: {row.active}",
            hint=f"On {job.new}: repmgr -f {repmgr_of(job.new).configuration} standby register -F.",
        )
    elif not row.active:
        note(f"the metadata say that {job.new} is inactive; without a primary none can mend that")
    _no_stranger(job)
    for node in job.cluster.nodes:
        if node.name in job.rows:
            _same_place(node, job.rows[node.name])


def _no_stranger(job: Handover) -> None:
    ours = {row.node_id for row in job.rows.values()}
    strange = [row for row in job.members if row.active and row.node_id not in ours]
    told = ", ".join(f"{row.name} ({row.node_id}) at {row.address}" for row in strange)
    if strange and job.mode == "failover":
        note(f"repmgr knows nodes that the settings do not: {told}")
        return
    check(
        "the settings name every node that repmgr knows",
        lambda: not strange,
        seen=lambda: f"only repmgr knows {told}",
        hint="Add it to the inventory; or, if it is gone: repmgr standby unregister --node-id=...",
    )


def _same_place(node: Node, row: Member) -> None:
    host, _, port = row.address.rpartition(":")
    comparable = _is_ip(host) and _is_ip(node.address) and node.address != _UNSET
    check(
        f"repmgr looks for {node} where the settings have it",
        lambda: int(port) == node.port and (not comparable or host == node.address),
        seen=lambda: f"metadata: {row.address}; settings: {node.address}:{node.port}",
        hint=f"The metadata are stale: register {node} again with -F, or correct the inventory.",
    )


@task("write the promotion into repmgr's metadata")
def name_primary(job: Handover) -> None:
    """See that the metadata name the new primary, also after a promotion that was cut short."""
    new = job.new
    command = repmgr.register_primary(
        repmgr_program(new), repmgr_of(new).configuration, user=new.os_user
    )
    ensure(
        f"repmgr's metadata name {new} as the primary",
        holds=lambda: _is_named(job),
        by=lambda: () if not job.promoted else (Execute(new.host, command),),
        within=10,
    )


def _is_named(job: Handover) -> bool:
    mine = job.row(job.new).node_id
    return [row.node_id for row in leaders(members(job.new))] == [mine]


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
