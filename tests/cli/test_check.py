"""`check` reaches and uses everything that an inventory names, and says what is wrong."""

from __future__ import annotations

import json

import pytest

from tests.cli.shop import ShopOfTests
from tests.contract.stores.refusing import refusing


def test_a_sound_inventory_has_no_failed_line_and_leaves_nothing_in_the_store(
    shop: ShopOfTests,
) -> None:
    done = shop.command("check", str(shop.inventory))
    assert done.returncode == 0, done.stdout
    assert "FAILED" not in done.stdout
    for part in ("PostgreSQL answers", "pg_verifybackup runs", "may take base backups", "zstd"):
        assert part in done.stdout
    assert not [path for path in shop.place.store.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("port: {port}", "port: 1", "PostgreSQL answers"),
        ("bin_directory: {programs}", "bin_directory: /nowhere", "PostgreSQL answers"),
        ("path: {store}", "path: /proc/nowhere", "an object can be written"),
        ("/health", "/health:wrong", "answers"),
        ("os_user: {user}", "os_user: no-such-user", "commands run as no-such-user"),
    ],
)
def test_what_cannot_be_used_fails_with_a_hint(
    shop: ShopOfTests, old: str, new: str, line: str
) -> None:
    known = old.format(
        port=shop.database.node.port,
        programs=shop.place.programs,
        store=shop.place.store,
        user=shop.place.user,
    )
    path = shop.changed_inventory(known, new)
    done = shop.command("check", str(path), "--json")
    assert done.returncode == 1, done.stdout
    failed = [finding for finding in json.loads(done.stdout) if not finding["ok"]]
    assert any(line in finding["what"] for finding in failed), failed
    assert all(finding["seen"] or finding["hint"] for finding in failed)
    assert "FAILED" in shop.command("check", str(path)).stdout


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("ExpiredToken", "The credentials have expired"),
        ("RequestTimeTooSkewed", "The worker's clock is wrong"),
        ("SignatureDoesNotMatch", "Check the secret."),
    ],
)
def test_a_store_that_turns_the_worker_away_is_told_with_what_to_do(
    shop: ShopOfTests, code: str, hint: str
) -> None:
    with refusing(code) as port:
        location = (
            f"kind: s3\n      bucket: backups\n      addressing: path\n      region: us-east-1\n"
            f"      endpoint_url: http://127.0.0.1:{port}\n    key_id: AKIAEXAMPLE\n"
            "    secret: {env: STORE_SECRET}"
        )
        old = f"kind: folder\n      path: {shop.place.store}"
        path = str(shop.changed_inventory(old, location))
        secret = {"STORE_SECRET": "marker-secret"}
        checked = shop.command("check", path, extra=secret)
        backup = ("run", "base-backup", "--cluster", shop.cluster, "--inventory", path, "--go")
        run = shop.command(*backup, extra=secret)
    assert checked.returncode == 1
    assert run.returncode == 1
    for said in (checked.stdout, run.stderr):
        assert code in said
        assert hint in said
        assert "marker-secret" not in said


def test_a_health_check_shows_one_table_and_fails_when_something_is_critical(
    shop: ShopOfTests,
) -> None:
    assert "base backup: there is no sound one" in shop.run("health-check").stderr
    assert shop.run("base-backup", "--go").returncode == 0
    done = shop.run("health-check", "--read-all")
    assert done.returncode == 0, done.stderr
    assert "| ✓ OK | HTTP | shop | is answered as expected |  |" in done.stdout
    assert "relations can be read" in done.stdout
    path = shop.changed_inventory(f"port: {shop.database.node.port}", "port: 1")
    done = shop.command(
        "run", "health-check", "--cluster", shop.cluster, "--inventory", str(path), "--go"
    )
    assert done.returncode == 1
    assert "writable nodes: none" in done.stderr
    assert done.stdout.index("✗ CRITICAL") < done.stdout.index("✓ OK | HTTP | shop")


def test_an_inventory_with_a_wrong_key_is_refused_as_a_whole(shop: ShopOfTests) -> None:
    done = shop.command("check", str(shop.changed_inventory("bin_directory:", "bin_dirctory:")))
    assert done.returncode == 2
    assert "bin_dirctory" in done.stderr
    assert done.stderr.startswith("ERROR:")


def test_an_unknown_cluster_is_wrong_usage_and_the_known_ones_are_named(shop: ShopOfTests) -> None:
    done = shop.command("run", "base-backup", "--cluster", "warehouse", "--go")
    assert done.returncode == 2
    assert "there is no cluster 'warehouse'" in done.stderr
    assert shop.cluster in done.stderr


def test_a_secret_is_never_shown(shop: ShopOfTests) -> None:
    for arguments in (["check"], ["plan", "base-backup", "--cluster", shop.cluster]):
        done = shop.command(*arguments)
        assert shop.database.password not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments", [["pending"], ["backups"], ["register"], ["approve", "1234"]], ids=" ".join
)
def test_without_inventory_and_server_the_hint_names_what_the_command_takes(
    shop: ShopOfTests, arguments: list[str]
) -> None:
    done = shop.command(*arguments, extra={"PG_RUNBOOKS_INVENTORY": ""})
    assert done.returncode == 1
    assert "ERROR:  no Prefect server answers at http://127.0.0.1:9/api" in done.stderr
    assert "pg-runbooks up" in done.stderr
    assert ("--inventory FILE" in done.stderr) == (arguments == ["backups"])
    assert "Traceback" not in done.stderr
