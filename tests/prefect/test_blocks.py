"""Settings in Prefect's blocks: nothing is lost, no secret comes back, a change is told."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import BlockDocumentUpdate
from pydantic import BaseModel, SecretBytes, SecretStr

from blocks.cluster import PostgresCluster
from blocks.load import load_cluster, load_store
from blocks.save import changes, save
from blocks.store import BackupStore
from runbook.apps import AnyApplication
from runbook.cluster import Cluster
from runbook.errors import SettingsError
from runbook.health.call import AnyAuth
from runbook.hosts import AnyWay
from runbook.inventory import Inventory, StoreSettings, read_inventory
from runbook.services import AnyService
from runbook.stores import AnyStore
from tests.prefect.room import ROOT, Room

PASSWORD = "MARKER-password-7f1"
SECRET = "MARKER-secret-93c"
PORTAL = "MARKER-portal-5e2"
KEY = "MARKER-key-b07"
MANAGER = "MARKER-manager-2a9"


@pytest.fixture
def everything(room: Room, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """Read the inventory that has everything in it."""
    monkeypatch.setenv("EVERYTHING_REPLICATION_PASSWORD", PASSWORD)
    monkeypatch.setenv("EVERYTHING_STORE_SECRET", SECRET)
    monkeypatch.setenv("EVERYTHING_PORTAL_SECRET", PORTAL)
    monkeypatch.setenv("EVERYTHING_KEY", KEY)
    monkeypatch.setenv("EVERYTHING_MANAGER_PASSWORD", MANAGER)
    return read_inventory(Path(__file__).parent / "everything.yaml")


def test_every_setting_comes_back_from_the_server_as_it_was(everything: Inventory) -> None:
    save(everything)
    for cluster in everything.clusters:
        assert load_cluster(cluster.name) == cluster
    for store in everything.stores:
        assert load_store(store.name) == store


def test_the_inventory_of_this_test_has_every_kind_of_everything(everything: Inventory) -> None:
    seen = {type(model) for model in _models(everything)}
    for union in (AnyWay, AnyService, AnyApplication, AnyStore, AnyAuth):
        kinds = typing.get_args(typing.get_args(union)[0])
        assert len(kinds) > 1
        assert set(kinds) <= seen


def test_no_secret_comes_back_unless_it_is_asked_for(
    client: SyncPrefectClient, everything: Inventory
) -> None:
    save(everything)
    for kind in (PostgresCluster, BackupStore):
        slug = kind.get_block_type_slug()
        documents = client.read_block_documents_by_type(slug, include_secrets=False)
        text = "".join(document.model_dump_json() for document in documents)
        assert "everything" in text
        assert "MARKER" not in text
    one = client.read_block_document_by_name("everything", "postgres-cluster", include_secrets=True)
    assert PASSWORD in one.model_dump_json()
    assert [one.model_dump_json().count(secret) for secret in (PORTAL, KEY, MANAGER)] == [2, 2, 2]
    assert "MARKER" not in repr(load_cluster("everything"))
    assert "MARKER" not in repr(PostgresCluster.named("everything"))


def test_secrets_are_direct_fields_and_prefect_knows_all_of_them() -> None:
    for model, block in ((Cluster, PostgresCluster), (StoreSettings, BackupStore)):
        secret = [path for path, kind in _fields(model) if kind in (SecretStr, SecretBytes)]
        known = block.model_json_schema()["secret_fields"]
        assert secret == [path.removesuffix(".*") for path in known]
        assert not [path for path in secret if "." in path]
        mappings = {
            f"{name}.*"
            for name, field in model.model_fields.items()
            if typing.get_origin(field.annotation) is dict and name in secret
        }
        assert mappings == {path for path in known if path.endswith(".*")}


def test_every_field_of_a_block_is_described() -> None:
    for block in (PostgresCluster, BackupStore):
        assert not [name for name, field in block.model_fields.items() if not field.description]


def test_saving_tells_what_it_changes_and_hides_secrets(
    everything: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = _renamed(everything, "diff")
    assert {change.verb for change in changes(renamed)} == {"create"}
    assert "MARKER" not in str(changes(renamed))
    assert {change.verb for change in save(renamed)} == {"create"}
    assert {change.verb for change in save(renamed)} == {"unchanged"}

    cluster = renamed.clusters[0]
    backups = cluster.backups.model_copy(update={"keep": 9})
    other = cluster.model_copy(
        update={"backups": backups, "replication_password": SecretStr("MARKER-other")}
    )
    (change,) = [
        one for one in changes(renamed.model_copy(update={"clusters": (other,)})) if one.lines
    ]
    assert change.verb == "update"
    assert change.lines == ("backups.keep: 3 becomes 9", "replication_password: changed")

    secrets = {**cluster.health_secrets, "portal": SecretStr("MARKER-other")}
    turned = cluster.model_copy(update={"health_secrets": secrets})
    told = changes(renamed.model_copy(update={"clusters": (turned,)}))
    assert [one.lines for one in told if one.lines] == [("health_secrets.portal: changed",)]


def test_settings_sent_back_as_they_were_shown_lose_no_secret(
    client: SyncPrefectClient, everything: Inventory
) -> None:
    """The UI shows secrets as asterisks, and sends its whole form back."""
    (cluster,) = everything.clusters
    without = cluster.model_copy(update={"name": "without", "health": (), "health_secrets": {}})
    save(everything.model_copy(update={"clusters": (cluster, without)}))
    for name in ("everything", "without"):
        shown = client.read_block_document_by_name(name, "postgres-cluster", include_secrets=False)
        assert "MARKER" not in shown.model_dump_json()
        client.update_block_document(
            shown.id,
            BlockDocumentUpdate(block_schema_id=shown.block_schema_id, data=shown.data),
        )
    assert load_cluster("everything") == cluster
    assert load_cluster("without") == without


def test_an_unknown_name_is_told_with_the_known_ones(everything: Inventory) -> None:
    save(everything)
    with pytest.raises(SettingsError, match="there is no cluster 'shoop'") as told:
        load_cluster("shoop")
    assert "everything" in told.value.detail
    with pytest.raises(SettingsError, match="there is no store 'shoop'"):
        load_store("shoop")


def test_a_name_that_prefect_cannot_save_is_refused_before_anything_is_saved(
    everything: Inventory,
) -> None:
    with pytest.raises(SettingsError, match="Shop_1"):
        save(_renamed(everything, "Shop_1"))


def test_the_example_inventories_can_be_saved(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("JBSWY3DPEHPK3PXP")
    examples = sorted((ROOT / "deployments" / "inventories").glob("*.yaml"))
    assert examples
    for example in examples:
        text = example.read_text()
        for name in re.findall(r"\{env: (\w+)\}", text):
            monkeypatch.setenv(name, PASSWORD)
        copy = tmp_path / example.name
        copy.write_text(re.sub(r"\{file: [^}]+\}", f"{{file: {tmp_path}/secret}}", text))
        inventory = read_inventory(copy)
        assert inventory.clusters
        assert changes(inventory)


def _renamed(inventory: Inventory, name: str) -> Inventory:
    return inventory.model_copy(
        update={
            "stores": (),
            "clusters": tuple(one.model_copy(update={"name": name}) for one in inventory.clusters),
        }
    )


def _models(value: object) -> list[BaseModel]:
    if isinstance(value, BaseModel):
        inner = [_models(getattr(value, name)) for name in type(value).model_fields]
        return [value, *(model for models in inner for model in models)]
    if isinstance(value, list | tuple):
        return [model for item in value for model in _models(item)]
    return []


def _fields(
    kind: object, path: str = "", above: tuple[object, ...] = ()
) -> list[tuple[str, object]]:
    """List all fields below a type, each model on a path once."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind in above:
            return []
        found = []
        for name, field in kind.model_fields.items():
            found += _fields(field.annotation, f"{path}.{name}".strip("."), (*above, kind))
        return found
    inner = typing.get_args(kind)
    if inner:
        return [entry for one in inner for entry in _fields(one, path, above)]
    return [(path, kind)]


def test_settings_that_fit_the_block_and_make_no_cluster_are_told_as_such(
    everything: Inventory,
) -> None:
    block = PostgresCluster.of(everything.clusters[0])
    twice = block.model_copy(update={"nodes": (block.nodes[0], block.nodes[0])})
    twice.save("twice", overwrite=True, _sync=True)  # type: ignore[call-arg]
    try:
        with pytest.raises(SettingsError, match="cluster 'twice' cannot be used") as seen:
            load_cluster("twice")
        assert "have the same name" in seen.value.detail
        assert PASSWORD not in str(seen.value)
    finally:
        PostgresCluster.delete("twice", _sync=True)  # type: ignore[call-arg]
