"""The client of a cluster's platform, and the places of its exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from runbook.cluster import Cluster
from runbook.errors import SettingsError
from runbook.inventory import StoreSettings
from runbook.platform.archive import Thing
from runbook.platform.catalogue import ExportCatalogue
from runbook.platform.client import Client
from runbook.platform.documents import ENDING
from runbook.platform.export import ArchiveKind, Kind
from runbook.platform.settings import InstallationFiles, PlatformExports
from runbook.platform.versions import InRepository, InStore, VersionedPlace
from runbook.stores import NodeFolderStore

_IN_STORE, _REPLACED = "exports", "policy-replaced"


@dataclass(frozen=True)
class Policies:
    """The client, the place of the policy documents, and that of what imports replace."""

    cluster: Cluster
    settings: PlatformExports
    client: Client
    place: VersionedPlace
    replaced: VersionedPlace


@dataclass(frozen=True)
class Archives:
    """The client, and the place of the packages or jobs that the settings name."""

    cluster: Cluster
    settings: PlatformExports
    client: Client
    catalogue: ExportCatalogue
    kind: ArchiveKind

    @property
    def things(self) -> tuple[Thing, ...]:
        """Give what the settings list, in their order."""
        listed = self.settings.jobs if self.kind == "job" else self.settings.packages
        return tuple(
            Thing(self.kind, namespace, name)
            for namespace, names in listed.items()
            for name in names
        )


@dataclass(frozen=True)
class AllData:
    """The place of exports of everything in one file, and those of packages and jobs apart."""

    catalogue: ExportCatalogue
    packages: Archives
    jobs: Archives

    @property
    def client(self) -> Client:
        """Give the client, which is the same for all."""
        return self.packages.client

    @property
    def apart(self) -> tuple[Archives, Archives]:
        """Give the two in the order of the page."""
        return self.packages, self.jobs

    @property
    def things(self) -> tuple[Thing, ...]:
        """Give every package and job that the settings name."""
        return (*self.packages.things, *self.jobs.things)


@dataclass(frozen=True)
class Installation:
    """The installation files, and their place."""

    cluster: Cluster
    settings: PlatformExports
    files: InstallationFiles
    place: VersionedPlace


def settings_of(cluster: Cluster) -> PlatformExports:
    """Give a cluster's settings; SettingsError when it has none."""
    if cluster.exports is None:
        raise SettingsError(
            f"cluster {cluster} has no exports",
            hint="Set exports: the machine of the platform's client, and where exports go.",
        )
    return cluster.exports


@contextmanager
def policies(cluster: Cluster, load: Callable[[str], StoreSettings]) -> Iterator[Policies]:
    """Open the place of the policy documents for the time of a block."""
    settings = settings_of(cluster)
    with ExitStack() as stack:
        place: VersionedPlace
        replaced: VersionedPlace
        if settings.repository is not None:
            place = InRepository(settings.repository, _folder(cluster, "policy"), ENDING)
            replaced = InRepository(settings.repository, _folder(cluster, _REPLACED), ENDING)
        else:
            catalogue = _catalogue(stack, cluster, settings, load, "policy")
            prefix = f"{catalogue.prefix.removesuffix('policy/')}{_REPLACED}/"
            place = InStore(catalogue, ENDING)
            replaced = InStore(replace(catalogue, prefix=prefix), ENDING)
        yield Policies(cluster, settings, Client(settings), place, replaced)


@contextmanager
def installation(cluster: Cluster, load: Callable[[str], StoreSettings]) -> Iterator[Installation]:
    """Open the place of the installation files for the time of a block."""
    settings = settings_of(cluster)
    files = settings.installation
    if files is None:
        raise SettingsError(
            f"cluster {cluster} has no installation files",
            hint="Set exports.installation: the machine, and the paths of the files.",
        )
    with ExitStack() as stack:
        place: VersionedPlace
        if settings.repository is not None and files.place == "repository":
            place = InRepository(settings.repository, _folder(cluster, "installation"), "")
        else:
            place = InStore(_catalogue(stack, cluster, settings, load, "installation"), "")
        yield Installation(cluster, settings, files, place)


@contextmanager
def archives(
    cluster: Cluster, kind: ArchiveKind, load: Callable[[str], StoreSettings]
) -> Iterator[Archives]:
    """Open the place of packages or jobs for the time of a block."""
    settings = settings_of(cluster)
    with ExitStack() as stack:
        catalogue = _catalogue(stack, cluster, settings, load, kind)
        yield Archives(cluster, settings, Client(settings), catalogue, kind)


@contextmanager
def all_data(cluster: Cluster, load: Callable[[str], StoreSettings]) -> Iterator[AllData]:
    """Open the places of everything in one file, and of packages and jobs, for a block."""
    with (
        ExitStack() as stack,
        archives(cluster, "package", load) as packages,
        archives(cluster, "job", load) as jobs,
    ):
        catalogue = _catalogue(stack, cluster, packages.settings, load, "all")
        yield AllData(catalogue, packages, jobs)


def _folder(cluster: Cluster, name: str) -> str:
    return f"{cluster.folder}/{name}".lstrip("/")


def _catalogue(
    stack: ExitStack,
    cluster: Cluster,
    settings: PlatformExports,
    load: Callable[[str], StoreSettings],
    kind: Kind,
) -> ExportCatalogue:
    store = load(settings.store) if settings.store else None
    if store is None or isinstance(store.location, NodeFolderStore):
        raise SettingsError(
            f"cluster {cluster} has no store for exports of kind {kind}",
            hint="Set exports.store to a store that does not lie on a database server.",
        )
    opened = stack.enter_context(store.open())
    prefix = "/".join(part for part in (cluster.folder, _IN_STORE, kind) if part)
    return ExportCatalogue(opened, f"{prefix}/", kind, str(cluster))
