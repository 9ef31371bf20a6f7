"""Who works at this machine, or in the place of people."""

from __future__ import annotations

import os
import pwd

SCHEDULE = "schedule"
"""Who has asked for a run that nobody asked for."""


def operating_system_user() -> str:
    """Name the user of this process as the kernel has it, whatever the environment says."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid-{os.geteuid()}"
