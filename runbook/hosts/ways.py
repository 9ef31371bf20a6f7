"""Every way into a host."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from runbook.hosts.bosh import Bosh
from runbook.hosts.containers import DockerExec, DockerRun
from runbook.hosts.machines import Local, Ssh

AnyWay = Annotated[Local | Ssh | Bosh | DockerExec | DockerRun, Field(discriminator="kind")]
