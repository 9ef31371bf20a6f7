"""The log of the backup agent: the page's own sample, and files that are not as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import CheckFailed
from runbook.hosts import Host
from runbook.manager.agent_log import AgentLog

PAGE = """\
172.28.19.56 - oy6Xh45byt4IMhMmlLSV9s_WCdKx9-gT [20/Nov/2018:12:12:30 +0000] "POST /v1/restore \
HTTP/1.1" 200 21 0.0023
172.28.19.51 - oy6Xh45byt4IMhMmlLSV9s_WCdKx9-gT [20/Nov/2018:12:12:31 +0000] "POST /v1/order \
HTTP/1.1" 200 13 0.7541
172.28.19.51 - oy6Xh45byt4IMhMmlLSV9s_WCdKx9-gT [20/Nov/2018:12:12:45 +0000] "POST /v1/order \
HTTP/1.1" 200 19 0.6944
I, [2018-11-20T12:13:00.939338 #31554]  INFO -- : success
172.28.19.51 - oy6Xh45byt4IMhMmlLSV9s_WCdKx9-gT [20/Nov/2018:12:13:02 +0000] "POST /v1/order \
HTTP/1.1" 200 13 0.7154
"""
ERROR = "E, [2018-11-20T12:13:00.939338 #31554] ERROR -- : psql: server closed\n"


@pytest.fixture
def log(tmp_path: Path) -> AgentLog:
    (tmp_path / "production.log").write_text(PAGE)
    return AgentLog("pg-0", Host(name="here"), str(tmp_path / "production.log"), "")


def test_the_page_s_sample_is_a_restore_that_has_succeeded(log: AgentLog) -> None:
    beginning = log.position().model_copy(update={"size": 0})
    seen = log.since(beginning)
    assert (seen.restores, seen.has_succeeded, seen.trouble) == (1, True, "")
    assert seen.last == "INFO success"
    assert "oy6X" not in str(seen)


def test_what_stood_there_before_tells_nothing(log: AgentLog) -> None:
    position = log.position()
    seen = log.since(position)
    assert (seen.restores, seen.has_succeeded, seen.last) == (0, False, "nothing yet")
    begun = PAGE.splitlines(keepends=True)[0]
    with Path(log.path).open("a") as file:
        file.write(f"{ERROR}{begun}{ERROR}")
    seen = log.since(position)
    assert (seen.restores, seen.has_succeeded) == (1, False)
    assert seen.trouble == "ERROR psql: server closed"


def test_success_of_something_earlier_is_not_that_of_the_restore(log: AgentLog) -> None:
    with Path(log.path).open("a") as file:
        file.write(PAGE.splitlines(keepends=True)[0])
    assert not log.since(log.position().model_copy(update={"size": 0})).has_succeeded


@pytest.mark.parametrize("rotated", [True, False])
def test_a_log_that_was_rotated_or_emptied_is_read_from_its_beginning(
    log: AgentLog, rotated: bool
) -> None:
    position, path = log.position(), Path(log.path)
    if rotated:
        path.rename(f"{path}.1")
    path.write_text("".join(PAGE.splitlines(keepends=True)[:4]))
    seen = log.since(position)
    assert (seen.restores, seen.has_succeeded) == (1, True)


def test_what_stands_in_the_file_that_was_renamed_is_read_too(log: AgentLog) -> None:
    position, path = log.position(), Path(log.path)
    with path.open("a") as file:
        file.write(PAGE)
    path.rename(f"{path}.1")
    path.write_text(ERROR)
    Path(f"{path}.2").write_text(PAGE * 2)
    seen = log.since(position)
    assert (seen.restores, seen.has_succeeded, seen.last) == (1, True, str(seen.lines[-1]))
    assert seen.trouble == "ERROR psql: server closed"


def test_requests_of_the_manager_do_not_crowd_out_the_restore(log: AgentLog) -> None:
    position = log.position().model_copy(update={"size": 0})
    orders = PAGE.splitlines(keepends=True)[1] * 3000
    with Path(log.path).open("a") as file:
        file.write(orders)
    seen = log.since(position)
    assert (seen.restores, seen.has_succeeded, seen.is_cut) == (1, True, False)
    with Path(log.path).open("a") as file:
        file.write(ERROR * 3000)
    seen = log.since(position)
    assert (seen.restores, seen.is_cut) == (0, True)


def test_a_request_that_was_refused_is_trouble(log: AgentLog) -> None:
    with Path(log.path).open("a") as file:
        file.write(PAGE.splitlines(keepends=True)[1].replace('" 200', '" 500'))
    seen = log.since(log.position().model_copy(update={"size": 0}))
    assert seen.trouble == "POST /v1/order 500"


def test_a_log_that_cannot_be_read_is_told_with_the_setting(log: AgentLog) -> None:
    Path(log.path).unlink()
    with pytest.raises(CheckFailed, match="cannot be read") as told:
        log.position()
    assert "manager.log" in told.value.hint
