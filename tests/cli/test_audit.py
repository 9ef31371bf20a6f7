"""The audit commands, as an auditor types them: no server, no cluster, only the records."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.shop import COMMAND, REPOSITORY
from tests.unit.audit.scene import History, Person

_INVENTORY = """
stores:
  backups: {{location: {{kind: folder, path: {folder}/backups}}}}
  vault: {{location: {{kind: folder, path: {folder}/vault}}}}
clusters:
  shop:
    nodes: [{{name: one, host: {{name: one, way: {{kind: local}}}}, service: {{kind: systemd}}}}]
    backups: {{store: backups}}
    audit: {{store: {store}}}
"""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Four runs; the last one for a reason that a spreadsheet would calculate."""
    made = History(tmp_path_factory.mktemp("state"))
    made.small()
    made.run("f00d-formula", Person(approver="Erik"), cluster="depot", reason="=1+1")
    return made


def audit(history: History, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `pg-runbooks audit`."""
    env = settings | {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PG_"))}
    return subprocess.run(
        [*COMMAND, "audit", *words],
        env=env | {"PG_RUNBOOKS_STATE": str(history.state), "PYTHONPATH": str(REPOSITORY)},
        cwd=history.state,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def listed(history: History, *words: str) -> list[str]:
    done = audit(history, "list", "--json", *words)
    assert done.returncode == 0, done.stderr
    return [run["run"] for run in json.loads(done.stdout)]


def test_runs_are_listed_and_filtered(history: History) -> None:
    assert listed(history) == ["first", "refused", "waited", "last", "f00d-formula"]
    assert listed(history, "--limit", "2") == ["last", "f00d-formula"]
    assert listed(history, "--outcome", "refused") == ["refused"]
    assert listed(history, "--cluster", "depot") == ["f00d-formula"]
    assert listed(history, "--person", "erik") == ["f00d-formula"]
    assert listed(history, "--runbook", "other") == []
    assert listed(history, "--to", "2020-01-01") == []
    assert len(listed(history, "--from", "2020-01-01")) == 5
    table = audit(history, "list").stdout
    for part in ("test-write", "refused", "dana", "alice"):
        assert part in table


def test_a_terminal_without_umlauts_shows_all_the_rest(tmp_path: Path) -> None:
    made = History(tmp_path)
    made.run("schön", cluster="schöp")
    done = audit(made, "list", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "sch?p" in done.stdout


def test_an_outcome_that_there_is_not_is_wrong_usage(history: History) -> None:
    done = audit(history, "list", "--outcome", "good")
    assert done.returncode == 2
    assert "nothing to do" in done.stderr


def test_one_run_is_shown_by_the_beginning_of_its_id(history: History) -> None:
    done = audit(history, "show", "f00d")
    assert done.returncode == 0, done.stderr
    for part in ("test-write on depot: completed", "approve by Erik", "shelf: write  [done"):
        assert part in done.stdout
    entries = json.loads(audit(history, "show", "f00d", "--json").stdout)
    assert [entry["event"] for entry in entries][:2] == ["start", "plan"]
    for wrong in ("nothing", "../../x", "*"):
        assert audit(history, "show", wrong).returncode == 2


def test_the_export_is_a_table_without_formulas(history: History) -> None:
    rows = list(csv.DictReader(io.StringIO(audit(history, "export").stdout)))
    assert [row["run"] for row in rows][-1] == "f00d-formula"
    assert rows[-1]["reason"] == "'=1+1"
    assert rows[1]["answers"] == "refuse by alice: not today"
    as_json = json.loads(audit(history, "export", "--format", "json").stdout)
    assert as_json[-1]["reason"] == "=1+1"
    assert as_json[-1]["recovery_time"] == 1.5


def test_reports_are_written_as_files(history: History) -> None:
    done = audit(history, "report", "f00d")
    assert done.stdout.strip() == "run-f00d-formula.html"
    assert "test-write on depot" in (history.state / "run-f00d-formula.html").read_text()
    done = audit(history, "report", "--out", "year.html", "--cluster", "shop")
    assert done.returncode == 0, done.stderr
    text = (history.state / "year.html").read_text()
    assert "cluster shop" in text
    assert "depot" not in text


def test_a_copy_is_made_and_held_against(history: History, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(_INVENTORY.format(folder=tmp_path, store="vault"))
    option = ("--inventory", str(inventory))
    done = audit(history, "mirror", "--all", *option)
    assert done.returncode == 0, done.stderr
    assert "vault: 6 pieces" in done.stdout
    assert audit(history, "verify", "--against", "vault", *option).returncode == 0
    record = history.record("last")
    whole = record.read_bytes()
    record.write_bytes(whole.replace(b"CHG-1", b"CHG-2"))
    done = audit(history, "verify", "--against", "vault", *option)
    record.write_bytes(whole)
    assert done.returncode == 1
    assert done.stdout.count(f"broken: {record}:") >= 2
    assert "the line is not what the store has" in done.stdout


def test_a_store_that_takes_no_copy_keeps_none_from_another(
    history: History, tmp_path: Path
) -> None:
    inventory = tmp_path / "inventory.yaml"
    text = _INVENTORY.format(folder=tmp_path, store="safe").replace("vault:", "safe:")
    head, clusters, shop = text.partition("clusters:\n")
    (tmp_path / "file").touch()
    broken = f"  broken: {{location: {{kind: folder, path: {tmp_path}/file/safe}}}}\n"
    first = shop.replace("shop:", "depot:").replace("name: one", "name: two", 1)
    first = first.replace("store: safe", "store: broken")
    inventory.write_text(head + broken + clusters + first + shop)
    done = audit(history, "mirror", "--all", "--inventory", str(inventory))
    assert done.returncode == 1
    assert "safe: 6 pieces" in done.stdout
    assert "broken: not copied\nERROR:  " in done.stderr


def test_an_audit_store_that_there_is_not_is_told_in_the_inventory(
    history: History, tmp_path: Path
) -> None:
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(_INVENTORY.format(folder=tmp_path, store="valt"))
    done = audit(history, "mirror", "--inventory", str(inventory))
    assert done.returncode == 2
    assert "cannot copy its audit record to 'valt'" in done.stderr


def test_an_anchor_is_made_and_told(history: History, tmp_path: Path) -> None:
    key = tmp_path / "key"
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    subprocess.run(argv, check=True, timeout=30)
    assert audit(history, "anchor", "--key", str(key)).returncode == 0
    signers = tmp_path / "signers"
    signers.write_text(f"auditor@bank {key.with_suffix('.pub').read_text()}")
    told = json.loads(audit(history, "verify", "--signers", str(signers), "--json").stdout)
    assert told["whole"] is True
    assert told["anchored"].endswith("signed by auditor@bank")
