"""Small files of this worker that others read at any moment: there whole, or as before."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file anew, and to the disk: who reads it, also after a crash, sees all or nothing.

    Raises: OSError.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
