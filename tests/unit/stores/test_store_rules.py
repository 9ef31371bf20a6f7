"""Rules of a bucket: told where they take backups away, and not where they do not."""

from __future__ import annotations

import pytest

from runbook.stores.s3_rules import described

MONTH = {"Days": 30}


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ({"Prefix": "pg/", "Expiration": MONTH}, 1),
        ({"Filter": {}, "Expiration": MONTH}, 1),
        ({"Filter": {"Prefix": "pg/shop/backup_"}, "Expiration": MONTH}, 1),
        ({"Filter": {"Prefix": "other/"}, "Expiration": MONTH}, 0),
        ({"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": MONTH}, 0),
        ({"Filter": {"And": {"Prefix": "pg/", "Tags": [{"Key": "a"}]}}, "Expiration": MONTH}, 0),
        ({"Prefix": "", "Transitions": [{"Days": 9, "StorageClass": "DEEP_ARCHIVE"}]}, 1),
        ({"Prefix": "", "Transitions": [{"Days": 9, "StorageClass": "STANDARD_IA"}]}, 0),
        ({"Prefix": "", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}, 0),
        ({"Prefix": "", "Expiration": MONTH, "Status": "Disabled"}, 0),
    ],
)
def test_a_rule_is_told_where_it_takes_backups_away(rule: dict[str, object], count: int) -> None:
    assert len([*described([{"ID": "r", "Status": "Enabled", **rule}], "pg/shop/")]) == count
