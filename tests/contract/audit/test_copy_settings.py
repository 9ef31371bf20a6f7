"""Which copy a run makes: as its cluster's settings say, and never a reason not to be recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
INVENTORY = """
stores:
  backups: {{location: {{kind: folder, path: {folder}/backups}}}}
  vault: {{location: {{kind: folder, path: {folder}/vault}}}}
clusters:
  shop:
    nodes: [{{name: one, host: {{name: one, way: {{kind: local}}}}, service: {{kind: systemd}}}}]
    backups: {{store: backups}}
    audit: {{store: vault, worker: w1}}
"""
PROGRAM = """
import sys
from pathlib import Path
from blocks.load import use_inventory
use_inventory(Path(sys.argv[1]))
from flows._procedure import PROCEDURES, procedure
from runbook import ensure, step
from runbook.actions import Work
from runbook.approval import Nobody
from runbook.errors import SettingsError
from runbook.watch import LogWatcher

done = []

@procedure("write", alone=False)
def write(cluster: str, dry_run: bool = True) -> None:
    with step("1", "Write"):
        if cluster == "unknown":
            raise SettingsError("no such cluster")
        act = Work("h", "w", lambda: str(done.append(1)))
        ensure("written", holds=lambda: bool(done), by=[act])

for cluster, run in (("shop", "copied"), ("unknown", "recorded")):
    try:
        PROCEDURES["write"].conduct(
            {"cluster": cluster, "dry_run": False}, gate=Nobody(), watcher=LogWatcher(), run_id=run
        )
    except SettingsError as error:
        print(error.message)
"""


def test_a_run_is_copied_where_its_cluster_says(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY.format(folder=tmp_path))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PG_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(inventory)],
        env=env | {"PG_RUNBOOKS_STATE": str(tmp_path / "state"), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    audit = tmp_path / "state" / "audit"
    pieces = sorted((tmp_path / "vault/audit/w1/runs/copied").iterdir())
    assert b"".join(each.read_bytes() for each in pieces) == (audit / "copied.jsonl").read_bytes()
    assert "no such cluster" in done.stdout
    assert '"outcome":"SettingsError"' in (audit / "recorded.jsonl").read_text()
    assert sorted(
        path.name for path in (audit / "mirror/vault").iterdir() if path.suffix == ""
    ) == [
        ".lock",
        "index",
    ]
