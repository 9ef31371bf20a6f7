"""The settings of a backup store, as a Prefect block."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import ConfigDict, Field, SecretStr

from blocks._saved import loaded, saved_name
from blocks._schema import SettingsBlock, described
from runbook.inventory import StoreSettings
from runbook.stores import AnyStore


class BackupStore(SettingsBlock):
    """A place for backups, and the credentials for it."""

    _block_type_name: ClassVar[str] = "Backup store"
    _block_type_slug: ClassVar[str] = "backup-store"
    _description: ClassVar[str] = (
        "Where backups are kept. `pg-runbooks apply` writes these from a file."
    )
    model_config = ConfigDict(json_schema_extra=described("secret"))

    location: AnyStore = Field(description="Folder on a node or worker, S3, or Azure Blob.")
    key_id: str = Field(default="", description="Access key id or storage account.")
    secret: SecretStr = Field(default=SecretStr(""), description="Secret access key.")

    @classmethod
    def named(cls, name: str) -> Self:
        """Load the settings of a store; SettingsError names the known ones."""
        return loaded(cls, name, "store")

    @classmethod
    def of(cls, store: StoreSettings) -> Self:
        """Make the block for a store of an inventory."""
        return cls.model_validate(
            {"location": store.location, "key_id": store.key_id, "secret": store.secret}
        )

    def settings(self) -> StoreSettings:
        """Give the store under the name that the block was saved with."""
        return StoreSettings(
            name=saved_name(self), location=self.location, key_id=self.key_id, secret=self.secret
        )
