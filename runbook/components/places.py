"""Where the dumps of a server group lie: folders of its servers, and perhaps a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from runbook.components.catalogue import DumpCatalogue
from runbook.components.group import Server, ServerGroup
from runbook.errors import SettingsError
from runbook.hosts import Command
from runbook.inventory import StoreSettings
from runbook.stores import NodeFolderStore, StoreSecret

_IN_STORE = "components"

# Whether a folder can be written to, or made.
WRITABLE = (
    """d=$1; while [ ! -e "$d" ]; do d=$(dirname -- "$d"); done; [ -d "$d" ] && [ -w "$d" ]"""
)


@dataclass(frozen=True)
class Keeper:
    """A server that keeps dumps, and what lies there."""

    server: Server
    catalogue: DumpCatalogue
    directory: str

    def is_writable(self) -> bool:
        """Tell whether the server's user may write into the folder, or make it."""
        argv = ("sh", "-c", WRITABLE, "writable", self.directory)
        command = Command(argv, user=self.server.node.server_user, timeout=60)
        return self.server.node.console.attempt(command).exit_code == 0

    def is_inside_the_data(self) -> bool:
        """Tell whether the folder lies in the data directory, where a restore replaces it."""
        return f"{self.directory}/".startswith(f"{self.server.identity.data_directory}/")


@dataclass(frozen=True)
class Places:
    """All places of a group's dumps, the primary's first."""

    group: ServerGroup
    keepers: tuple[Keeper, ...]
    vault: DumpCatalogue | None
    again: Callable[[], AbstractContextManager[Places]]
    """Opens them once more, when they have been closed."""

    @property
    def catalogues(self) -> tuple[DumpCatalogue, ...]:
        """Give every place."""
        stores = (self.vault,) if self.vault is not None else ()
        return (*(keeper.catalogue for keeper in self.keepers), *stores)

    def stamp(self, run_id: str) -> str:
        """Give the id of a run's dumps: that of the ones it has made, or a new one."""
        taken: set[str] = set()
        for catalogue in self.catalogues:
            for database in self.group.settings.databases:
                shelf = catalogue.look(database)
                made = shelf.of_run(run_id)
                if made is not None:
                    return made.id
                taken |= {files.id for files in shelf.found}
        at = datetime.now(UTC)
        while f"{at:%Y%m%d%H%M%S}" in taken:
            at += timedelta(seconds=1)
        return f"{at:%Y%m%d%H%M%S}"


@contextmanager
def opened(group: ServerGroup, load: Callable[[str], StoreSettings]) -> Iterator[Places]:
    """Open every place of a group's dumps for the time of a block."""
    databases = group.settings.databases
    with ExitStack() as stack:
        keepers = tuple(_keeper(stack, group, server) for server in group.keepers)
        vault = None
        if group.settings.store:
            settings = load(group.settings.store)
            if isinstance(settings.location, NodeFolderStore):
                raise SettingsError(
                    f"cluster {group.cluster} cannot keep its dumps in the store {settings.name}",
                    detail="it lies on a server, as components.directory does",
                    hint="Name another store, or none: then every server keeps its dumps.",
                )
            prefix = "/".join(part for part in (group.cluster.folder, _IN_STORE) if part)
            vault = DumpCatalogue(stack.enter_context(settings.open()), f"{prefix}/", databases)
        yield Places(group, keepers, vault, partial(opened, group, load))


def _keeper(stack: ExitStack, group: ServerGroup, server: Server) -> Keeper:
    node, directory = server.node, group.directory(server.node)
    location = NodeFolderStore(path=directory, user=node.server_user)
    store = stack.enter_context(location.open(StoreSecret(), node.console))
    return Keeper(server, DumpCatalogue(store, "", group.settings.databases), directory)
