"""Hosts, the ways into them, and the commands that run there."""

from runbook.hosts.bosh import Bosh
from runbook.hosts.command import Command, Completed
from runbook.hosts.containers import DockerExec, DockerRun
from runbook.hosts.host import Host
from runbook.hosts.machines import Local, Ssh
from runbook.hosts.ways import AnyWay

__all__ = [
    "AnyWay",
    "Bosh",
    "Command",
    "Completed",
    "DockerExec",
    "DockerRun",
    "Host",
    "Local",
    "Ssh",
]
