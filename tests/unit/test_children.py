"""The note of a child process: read by others while it is started again."""

import os
from pathlib import Path

from deployments.children import child
from runbook.marks import ProcessId


def test_who_reads_the_note_while_it_is_written_anew_sees_a_whole_one(tmp_path: Path) -> None:
    with child("calendar", ("calendar",), dict(os.environ), tmp_path, 10.0) as started:
        first = started.process.pid
        with started.note.open() as reader:
            started.stop(10.0)
            started.start()
            assert ProcessId.model_validate_json(reader.read()).pid == first
        assert ProcessId.model_validate_json(started.note.read_text()).pid == started.process.pid
        assert {path.name for path in started.folder.iterdir()} == {"calendar.json", "calendar.log"}
