"""What the index keeps of a run that has taken several dumps."""

from __future__ import annotations

from runbook.audit.chain import Entry
from runbook.audit.summary import Summary

LARGE: Entry = {"id": "auditlog-1", "node": "a", "size": 900, "stored": 90, "seconds": 9.0}
SMALL: Entry = {"id": "zabbix-1", "node": "a", "size": 30, "stored": 3, "seconds": 1.0}


def dump(told: Entry, **more: object) -> Entry:
    """Give the entry of a dump."""
    entry: Entry = {"event": "backup", "step": "7", "role": "taken", "finished": "2026-01-01T05:00"}
    return {**entry, **told, **more}


def kept(*entries: Entry) -> object:
    """Give what the index keeps of a run's backup."""
    return Summary.of([{"event": "start"}, *entries]).told()["backup"]


def test_the_dumps_of_a_run_come_to_one_backup() -> None:
    later = "2026-01-01T05:09"
    assert kept(dump(LARGE, finished=later), dump(SMALL)) == {
        "role": "taken",
        "id": "auditlog-1, zabbix-1",
        "size": 930,
        "stored": 93,
        "seconds": 9.0,
        "finished": later,
    }


def test_a_dump_on_another_server_or_of_a_run_that_went_on_counts_once() -> None:
    once = kept(dump(LARGE), dump(SMALL))
    assert kept(dump(LARGE), dump(LARGE, node="b"), dump(SMALL), dump(SMALL, node="b")) == once
    assert kept(dump(LARGE), dump(LARGE), dump(SMALL)) == once


def test_what_a_run_has_verified_is_not_added_to_what_it_has_taken() -> None:
    assert kept(dump(LARGE), dump(SMALL, role="verified")) == kept(dump(SMALL, role="verified"))


def test_the_dumps_of_a_part_are_not_the_backup_of_its_run() -> None:
    whole: Entry = {"event": "parts", "role": "taken", "id": "6 of 6 parts", "size": 5}
    assert kept(dump(LARGE, step="2.7"), whole) == {
        "role": "taken",
        "id": "6 of 6 parts",
        "size": 5,
    }


def test_a_run_that_was_locked_out_is_no_failure() -> None:
    told: Entry = {"event": "end", "outcome": "Held", "error": "another run holds cluster shop"}
    assert Summary.of([{"event": "start"}, told]).told()["outcome"] == "refused"


def test_a_run_that_failed_and_was_retried_does_not_keep_that_error() -> None:
    failed: Entry = {"event": "end", "outcome": "failed", "error": "not so: the disk is whole"}
    done: Entry = {"event": "end", "outcome": "completed"}
    start: Entry = {"event": "start"}
    assert Summary.of([start, failed]).told()["error"] == failed["error"]
    assert "error" not in Summary.of([start, failed, start, done]).told()
