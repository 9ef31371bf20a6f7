"""Inventory files: checked as a whole, secrets by reference only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runbook.errors import SettingsError
from runbook.inventory import read_inventory

GOOD = """
stores:
  nightly:
    location: {kind: s3, bucket: backups}
    key_id: AKIA
    secret: {env: TEST_STORE_SECRET}
clusters:
  shop:
    nodes: [{name: db1, host: {name: db1, way: {kind: ssh, address: 192.0.2.1}}}]
    backups: {store: nightly}
"""

CHECKED = """backups: {store: nightly}
    health: [{name: a, url: "http://h/", headers: {X-Token: "{secret:portal}"}}]"""
OPEN = """backups: {store: nightly}
    health_secrets: {portal: open-text}"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text(text)
    return path


def test_a_platform_names_clusters_of_the_file_and_shares_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_STORE_SECRET", "x")
    one = GOOD[GOOD.index("    nodes:") :]

    def platforms(*others: str) -> str:
        made = [
            f"  c{at}:\n{one}    platform: {{clusters: [{each}]}}\n"
            for at, each in enumerate(others)
        ]
        return GOOD + "".join(made)

    whole = read_inventory(written(tmp_path, platforms("shop", "")))
    assert whole.cluster("c0").platform is not None
    with pytest.raises(SettingsError, match="in two platforms"):
        read_inventory(written(tmp_path, platforms("shop", "shop")))
    with pytest.raises(SettingsError, match="nowhere"):
        read_inventory(written(tmp_path, platforms("nowhere")))


def test_a_secret_is_read_from_the_environment_and_never_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_STORE_SECRET", "marker-secret")
    inventory = read_inventory(written(tmp_path, GOOD))
    assert inventory.store("nightly").secret.get_secret_value() == "marker-secret"
    assert "marker-secret" not in repr(inventory)
    assert inventory.cluster("shop").folder == "shop"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{env: TEST_STORE_SECRET}", "open-text", "must be a reference"),
        ("{env: TEST_STORE_SECRET}", "{env: NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE"),
        ("{env: TEST_STORE_SECRET}", "{file: /nowhere/secret}", "/nowhere/secret"),
        ("store: nightly", "store: weekly", "unknown store 'weekly'"),
        ("stores:", "shops:", "unknown keys"),
        ("kind: ssh", "kind: telnet", "cluster shop, node db1, host.way: Input tag 'telnet'"),
        ("bucket: backups", "bucket: ''", "bucket"),
        ("name: db1, host", "nam: db1, host", "cluster shop, node number 1: name is missing"),
        ("name: db1, host", "nam: db1, host", "there is no setting 'nam'; did you mean name?"),
        ("bucket: backups", "buckt: backups", "location: there is no setting 'buckt'; did"),
        (
            "address: 192",
            "adress: 192",
            "node db1, host.way: there is no setting 'adress'; did you",
        ),
        ("{env: TEST_STORE_SECRET}", "{env: NOT_SET_ANYWHERE}", "stores.nightly: secret: the env"),
        ("backups: {store: nightly}", CHECKED, "not in health_secrets"),
        ("backups: {store: nightly}", OPEN, "health_secrets.portal must be a reference"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.setenv("TEST_STORE_SECRET", "x")
    assert old in GOOD
    with pytest.raises(SettingsError) as refused:
        read_inventory(written(tmp_path, GOOD.replace(old, new)))
    assert said in str(refused.value)


def test_a_typo_is_told_once_with_what_is_meant_and_before_a_secret_that_is_missing(
    tmp_path: Path,
) -> None:
    text = GOOD.replace("TEST_STORE_SECRET", "NOT_SET_ANYWHERE")
    text = text.replace("{name: db1, host", "{name: db1, bin_directroy: /usr/lib, host")
    with pytest.raises(SettingsError) as refused:
        read_inventory(written(tmp_path, text))
    assert refused.value.detail == (
        "cluster shop, node db1: there is no setting 'bin_directroy'; did you mean bin_directory?"
    )
    assert "deployments/settings.md" in refused.value.hint


def test_secrets_that_are_missing_are_told_together_with_whose_they_are(tmp_path: Path) -> None:
    text = GOOD.replace("TEST_STORE_SECRET", "NOT_SET_ANYWHERE")
    text += "    replication_password: {env: NOT_SET_EITHER}\n"
    text += "    health_secrets: {portal: {file: /nowhere/portal}}\n"
    with pytest.raises(SettingsError) as refused:
        read_inventory(written(tmp_path, text))
    assert "stores.nightly: secret: the environment has no NOT_SET_A" in refused.value.message
    assert "clusters.shop: replication_password: the env" in refused.value.detail
    assert "clusters.shop: health_secrets.portal: cannot read" in refused.value.detail


def test_two_clusters_may_not_keep_backups_in_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_STORE_SECRET", "x")
    second = """
  other:
    nodes: [{name: db2, host: {name: db2}}]
    backups: {store: nightly, folder: shop}
"""
    with pytest.raises(SettingsError, match="keep backups in the same folder"):
        read_inventory(written(tmp_path, GOOD + second))


SHARED = """
stores:
  one: {location: {kind: node-folder, path: /backups}}
  two: {location: {kind: node-folder, path: /backups/, user: root}}
clusters:
  shop:
    nodes: [{name: db1, host: {name: db1, way: {kind: ssh, address: 192.0.2.1}}}]
    backups: {store: one, folder: .}
  other:
    nodes: [{name: db2, host: {name: x, way: {kind: ssh, address: 192.0.2.1, user: root}}}]
    backups: {store: two, folder: .}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [("", ""), ("/backups/", "/more"), ("1, user", "2, user"), ("two, folder: .", "two")],
)
def test_folders_on_nodes_are_the_same_on_one_machine_only(
    tmp_path: Path, old: str, new: str
) -> None:
    path = written(tmp_path, SHARED.replace(old, new, 1))
    if old:
        assert len(read_inventory(path).clusters) == 2
    else:
        with pytest.raises(SettingsError, match="keep backups in the same folder"):
            read_inventory(path)


def test_unknown_names_tell_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_STORE_SECRET", "x")
    inventory = read_inventory(written(tmp_path, GOOD))
    with pytest.raises(SettingsError, match="known: shop"):
        inventory.cluster("shpo")


@pytest.mark.parametrize(
    "path",
    sorted((Path(__file__).parents[2] / "deployments" / "inventories").glob("*.yaml")),
    ids=lambda path: path.stem,
)
def test_the_examples_can_be_used(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = path.read_text()
    for name in re.findall(r"\{env: (\w+)\}", text):
        monkeypatch.setenv(name, "x")
    secret = tmp_path / "secret"
    secret.write_text("JBSWY3DPEHPK3PXP")
    text = re.sub(r"\{file: [^}]+\}", f"{{file: {secret}}}", text)
    assert read_inventory(written(tmp_path, text)).clusters
