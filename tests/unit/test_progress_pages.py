"""Progress is told beside the work: a control room that hangs holds up no byte."""

from __future__ import annotations

import socket
import time
from uuid import uuid4

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows._progress import ProgressPages
from runbook.watch import Progress


def test_a_server_that_never_answers_holds_nothing_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}/api"
        pages = ProgressPages("restore-shop", uuid4())
        with temporary_settings({PREFECT_API_URL: address}):
            pages.show(Progress("unpack", 1, 100))
            time.sleep(2.1)
            began = time.monotonic()
            for done in (50, 60):
                pages.show(Progress("unpack", done, 100))
            assert time.monotonic() - began < 1
            mute.settimeout(30)
            asked, _ = mute.accept()  # the page was on its way to this very server
            pages.show(Progress("unpack", 100, 100, finished=True))
            pages.close(within=0.5)
            assert time.monotonic() - began < 20
            asked.close()
