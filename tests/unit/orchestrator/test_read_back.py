"""What a store gives back is compared with what was written there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from runbook.errors import Damaged
from runbook.orchestrator.storing import read_back
from runbook.run import Mode, Run, opened
from runbook.stores import FolderStore, StoreSecret
from runbook.watch import LogWatcher


def test_an_object_that_is_not_what_was_written_is_told(tmp_path: Path) -> None:
    store = FolderStore(path=str(tmp_path)).open(StoreSecret(), None)
    store.put("archive", b"12345")
    written = hashlib.sha256(b"12345").hexdigest()
    with opened(Run("r", "orchestrator-backup", "c", {}, Mode.ACT, LogWatcher())):
        read_back(store, "archive", 5, written)
        for changed in (b"1234", b"12346", b"123455"):
            (tmp_path / "archive").write_bytes(changed)
            with pytest.raises(Damaged, match="is not what was written"):
                read_back(store, "archive", 5, written)
