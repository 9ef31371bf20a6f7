"""Stores: where backups lie."""

from typing import Annotated

from pydantic import Field

from runbook.stores.azure import AzureStore
from runbook.stores.folder import FolderStore
from runbook.stores.node_folder import NodeFolderStore
from runbook.stores.s3 import S3Store
from runbook.stores.store import ObjectInfo, OpenStore, StoreSecret, Upload

AnyStore = Annotated[
    FolderStore | NodeFolderStore | S3Store | AzureStore, Field(discriminator="kind")
]

__all__ = [
    "AnyStore",
    "AzureStore",
    "FolderStore",
    "NodeFolderStore",
    "ObjectInfo",
    "OpenStore",
    "S3Store",
    "StoreSecret",
    "Upload",
]
