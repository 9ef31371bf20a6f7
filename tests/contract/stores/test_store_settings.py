"""Settings of stores: wrong ones are told, and no secret of them is shown."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from runbook.errors import ObjectMissing, SettingsError, StoreError, StoreForbidden
from runbook.stores import AzureStore, NodeFolderStore, S3Store, StoreSecret
from tests.contract.stores.places import Place, azure_place, s3_place
from tests.lab.azurite import BlobServer
from tests.lab.s3 import S3Server


@pytest.mark.parametrize("kind", ["rclone", "azurite"])
def test_a_wrong_key_is_refused_and_not_shown(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "azurite":
        place = azure_place(request.getfixturevalue("azurite"))
    else:
        place = s3_place(request.getfixturevalue("rclone_s3"))
    wrong = StoreSecret(key_id=place.secret.key_id, secret=SecretStr("bWFya2VyLXNlY3JldA=="))
    with place.location.open(wrong, None) as store, pytest.raises(StoreForbidden) as refused:
        store.get("a")
    assert "bWFya2Vy" not in str(refused.value)
    assert refused.value.hint


def test_a_missing_bucket_is_named(moto_s3: S3Server, azurite: BlobServer) -> None:
    for place, name in ((s3_place(moto_s3), "bucket"), (azure_place(azurite), "container")):
        missing = place.location.model_copy(update={name: "nowhere"})
        with missing.open(place.secret, None) as store:
            with pytest.raises(StoreError, match="nowhere"):
                list(store.list(""))
            with pytest.raises(StoreError, match="nowhere") as refused:
                store.get("a")
            assert not isinstance(refused.value, ObjectMissing)


def test_a_rule_of_the_bucket_that_removes_backups_is_told(moto_s3: S3Server) -> None:
    import boto3

    place = s3_place(moto_s3, "kept")
    client = boto3.client(
        "s3",
        endpoint_url=moto_s3.endpoint,
        region_name=moto_s3.region,
        aws_access_key_id=moto_s3.key_id,
        aws_secret_access_key=moto_s3.secret,
    )
    rule = {
        "ID": "monthly",
        "Status": "Enabled",
        "Filter": {"Prefix": "kept/shop/"},
        "Expiration": {"Days": 30},
    }
    markers = {"ID": "tidy", "Expiration": {"ExpiredObjectDeleteMarker": True}}
    client.put_bucket_lifecycle_configuration(
        Bucket=moto_s3.bucket, LifecycleConfiguration={"Rules": [rule, {**rule, **markers}]}
    )
    try:
        with place.open() as store:
            told = 'rule "monthly" for objects under "kept/shop/" removes them after 30 days'
            assert store.lifecycle_rules("shop/") == [told]
            assert store.lifecycle_rules("") == [told]
            assert store.lifecycle_rules("other/") == []
    finally:
        client.delete_bucket_lifecycle(Bucket=moto_s3.bucket)
        client.close()


def test_locations_print_without_secrets(place: Place) -> None:
    value = place.secret.secret.get_secret_value()
    assert not value or value not in f"{place.location} {place.location!r} {place.secret!r}"


def test_secrets_in_addresses_are_refused() -> None:
    with pytest.raises(ValidationError):
        S3Store(bucket="b", endpoint_url="https://user:word@store.example")
    with pytest.raises(ValidationError):
        AzureStore(account_url="https://a.blob.example/?sig=x", container="c")
    with pytest.raises(SettingsError, match="no secret"):
        AzureStore(account_url="https://a.blob.example", container="c").open(StoreSecret(), None)
    with pytest.raises(SettingsError, match="no node"):
        NodeFolderStore().open(StoreSecret(), None)
