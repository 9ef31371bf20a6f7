"""What runbooks have set aside beside a data directory."""

from __future__ import annotations

from pathlib import Path


def asides(live: Path) -> list[Path]:
    """Name the data directories that were set aside, be it inside where `live` is a mount."""
    beside = live.parent.glob(f"{live.name}.aside-*")
    return sorted([*beside, *live.glob("pgsql_tmp_aside-*")])
