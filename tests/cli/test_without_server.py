"""Backup and restore through the command line alone: no Prefect server exists here."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

from deployments.demo import application
from tests.cli.shop import COMMAND, ShopOfTests
from tests.lab import processes

APPROVED = ("--approve-by", "Dana Test", "--reason", "test of the restore")


def test_a_plan_names_the_steps_and_changes_nothing(shop: ShopOfTests) -> None:
    before = shop.entries(), shop.records()
    done = shop.command("plan", "base-backup", "--cluster", shop.cluster)
    assert done.returncode == 0, done.stderr
    assert "### 5. Create the backup, verified while it is written" in done.stdout
    assert "This was a dry run: nothing was changed." in done.stdout
    assert (shop.entries(), shop.records()) == before
    assert shop.backups() == []


def test_run_without_go_is_a_plan(shop: ShopOfTests) -> None:
    done = shop.run("base-backup", "--json")
    result = json.loads(done.stdout)
    assert result["dry_run"] is True
    assert result["changes"] > 0
    assert shop.backups() == []


def test_a_backup_is_taken_and_listed(backed_up: ShopOfTests) -> None:
    rows = backed_up.backups()
    assert [(row["state"], row["newest"], row["made_by"]) for row in rows] == [
        ("sound", True, "fast")
    ]
    text = backed_up.command("backups").stdout
    assert re.search(rf"→ .*{rows[0]['id']}.* fast .*sound", text)


def test_monitoring_is_told_when_the_newest_sound_backup_is_too_old(backed_up: ShopOfTests) -> None:
    good = backed_up.command("backups", "--max-age", "26h")
    assert (good.returncode, good.stderr) == (0, "")
    time.sleep(1)
    old = backed_up.command("backups", "--max-age", "1s", "--json")
    assert old.returncode == 1
    assert len(json.loads(old.stdout)) == 1
    assert f"ERROR:  {backed_up.cluster}: the newest sound backup is older than 1.0 s" in old.stderr
    store = f"path: {backed_up.place.store}"
    empty = backed_up.changed_inventory(store, f"{store}/empty")
    none = backed_up.command("backups", "--max-age", "1d", "--inventory", str(empty))
    assert none.returncode == 1
    assert f"ERROR:  {backed_up.cluster}: there is no sound backup" in none.stderr
    wrong = backed_up.command("backups", "--max-age", "soon")
    assert wrong.returncode == 2
    assert "such as 26h" in wrong.stderr


def test_a_wrong_confirmation_is_refused_and_nothing_is_changed(backed_up: ShopOfTests) -> None:
    before = backed_up.entries(), backed_up.records()
    done = backed_up.run("instance-restore", "--go", *APPROVED, "--confirm", "shop-prod")
    assert done.returncode == 3
    assert "the approval of Dana Test does not count" in done.stderr
    assert "HINT:" in done.stderr
    assert (backed_up.entries(), backed_up.records()) == before
    assert backed_up.database.node.accepts_writes()
    assert application.running(backed_up.place.application)


def test_nobody_at_a_terminal_is_a_refusal(backed_up: ShopOfTests) -> None:
    done = backed_up.run("instance-restore", "--go")
    assert done.returncode == 3
    assert "this is no terminal" in done.stderr
    assert f"--confirm {backed_up.cluster}" in done.stderr
    assert not [name for name in backed_up.entries() if "aside" in name]
    assert application.running(backed_up.place.application)


def test_an_approved_restore_brings_the_table_back(backed_up: ShopOfTests) -> None:
    shop = backed_up
    shop.database.execute("DROP TABLE orders")
    done = shop.run("instance-restore", "--go", *APPROVED, "--confirm", shop.cluster)
    assert done.returncode == 0, done.stderr
    assert shop.database.orders() >= 3000
    assert [name for name in shop.entries() if name.startswith("main.aside-")]
    assert application.running(shop.place.application)
    for part in ("RTO", "RPO", "applications stopped until healthy", str(shop.records()[-1])):
        assert part in done.stdout
    assert re.search(r"Where the time went *\n.*\n +Lock the cluster", done.stdout), done.stdout
    assert re.search(r"\n +7 +Start PostgreSQL +\d[\d.]* s +█", done.stdout), done.stdout


def test_the_record_of_the_restore_tells_who_approved_and_through_which_door(
    backed_up: ShopOfTests,
) -> None:
    record = backed_up.records()[-1]
    done = backed_up.command("audit", "verify", str(record))
    assert done.returncode == 0
    assert "approve by Dana Test: test of the restore" in done.stdout
    answers = [json.loads(line) for line in record.read_text().splitlines() if '"answer"' in line]
    assert answers[-1]["door"].startswith("command line")


def test_an_edited_record_is_found(backed_up: ShopOfTests, tmp_path: Path) -> None:
    edited = tmp_path / "edited.jsonl"
    edited.write_text(backed_up.records()[-1].read_text().replace("Dana Test", "Nobody", 1))
    done = backed_up.command("audit", "verify", str(edited))
    assert done.returncode == 1
    assert "the record is broken at line" in done.stderr


def test_the_same_restore_again_finds_everything_so(backed_up: ShopOfTests) -> None:
    before = backed_up.entries()
    done = backed_up.run("instance-restore", "--go", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["changes"], result["recovery_time_seconds"]) == (0, None)
    assert result["headline"].startswith("NOTHING IS RESTORED: ")
    shown = backed_up.run("instance-restore", "--go").stdout.splitlines()
    (done_at,) = (at for at, line in enumerate(shown) if line.startswith("done "))
    assert shown[done_at - 1] == result["headline"]
    assert not any(line.startswith("RTO") for line in shown)
    assert backed_up.entries() == before


def test_a_person_at_the_terminal_may_refuse(backed_up: ShopOfTests) -> None:
    before, entries = backed_up.database.node.identity().timeline, backed_up.entries()
    code, text = at_terminal(backed_up, ["refuse", "Rita Refuser", "not tonight"])
    assert code == 3, text
    assert "was refused by Rita Refuser" in text
    assert "not tonight" in text
    assert backed_up.database.node.identity().timeline == before
    assert backed_up.entries() == entries, "nothing stays that was made ready"


def test_a_person_at_the_terminal_approves_by_typing_the_clusters_name(
    backed_up: ShopOfTests,
) -> None:
    wrong = ["", f"{backed_up.cluster}x"]
    answers = ["approve", "Ada Approver", "ticket 7", *wrong, backed_up.cluster]
    code, text = at_terminal(backed_up, answers)
    assert code == 0, text
    again = f"That is not {backed_up.cluster}. Type {backed_up.cluster}, or refuse"
    assert text.count(again) == len(wrong), "a slip of the finger ends no run"
    entries = [json.loads(line) for line in backed_up.records()[-1].read_text().splitlines()]
    answer = next(entry for entry in entries if entry["event"] == "answer")
    assert (answer["approver"], answer["reason"]) == ("Ada Approver", "ticket 7")
    assert answer["door"].startswith("terminal")


def at_terminal(shop: ShopOfTests, answers: list[str]) -> tuple[int, str]:
    """Run a restore at a pseudo-terminal and type one answer for each prompt."""
    argv = [*COMMAND, "run", "instance-restore", "--cluster", shop.cluster, "--again", "--go"]
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        argv, env=shop.environment, cwd="/", stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    text, waiting = "", list(answers)
    prompts = re.compile(r"(Decision|Your name|Reason or ticket|to approve|or refuse)[^\n]*: $")
    try:
        while piece := _read(leader):
            text += piece
            if waiting and prompts.search(text.split("\n")[-1]):
                os.write(leader, waiting.pop(0).encode() + b"\n")
        return process.wait(60), text
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def _read(leader: int) -> str:
    try:
        return os.read(leader, 65536).decode(errors="replace")
    except OSError:
        return ""


def onto_a_full_disk(shop: ShopOfTests, *words: str) -> subprocess.CompletedProcess[str]:
    """Run at a terminal whose screen is a log on a full disk."""
    argv = [*COMMAND, "run", *words, "--cluster", shop.cluster, "--go"]
    leader, follower = pty.openpty()
    try:
        with Path("/dev/full").open("w") as full:
            return subprocess.run(
                argv,
                env=shop.environment,
                stdin=follower,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=180,
                check=False,
            )
    finally:
        os.close(leader)
        os.close(follower)


def test_a_log_on_a_full_disk_ends_no_run(backed_up: ShopOfTests) -> None:
    known = len(backed_up.backups())
    done = onto_a_full_disk(backed_up, "base-backup")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("WARNING: nothing more can be shown here (No space left")
    assert done.stderr.count("\n") == 1
    assert len(backed_up.backups()) == known + 1


def test_a_plan_whose_reader_has_seen_enough_says_nothing(shop: ShopOfTests) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [*COMMAND, "plan", "base-backup", "--cluster", shop.cluster]
    try:
        done = subprocess.run(
            argv,
            env=shop.environment,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_cannot_be_shown_cannot_be_approved(backed_up: ShopOfTests) -> None:
    done = onto_a_full_disk(backed_up, "instance-restore", "--again")
    assert done.returncode == 3, done.stderr
    assert "needs an approval, and this is no terminal" in done.stderr


def test_ctrl_c_ends_a_backup_and_leaves_nothing(backed_up: ShopOfTests) -> None:
    shop = backed_up
    slow = shop.changed_inventory("store: demo-folder", 'store: demo-folder\n      max_rate: "64"')
    known = [row["id"] for row in shop.backups()]
    argv = [*COMMAND, "run", "base-backup", "--cluster", shop.cluster, "--go", "-i", str(slow)]
    process = subprocess.Popen(
        argv, env=shop.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 180
        while not _streaming(shop) and time.monotonic() < until:
            time.sleep(0.1)
        assert _streaming(shop)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, errors
    assert errors.startswith("Interrupted: what was at work has been ended.")
    processes.until(lambda: not _streaming(shop), "the server sends no backup")
    assert [row["id"] for row in shop.backups()] == known
    assert shop.run("verify-backup", "--go").returncode == 0


def _streaming(shop: ShopOfTests) -> bool:
    return bool(shop.database.node.ask("SELECT pid FROM pg_stat_progress_basebackup"))
