"""The exports of one kind in a store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from runbook.errors import CheckFailed, Damaged
from runbook.platform.export import Export, ExportedFile, Kind
from runbook.stores import OpenStore
from runbook.watch import log

_RECORD, _BEGUN = "export.json", "export.begun"


@dataclass(frozen=True)
class ExportCatalogue:
    """Exports under `<prefix><id>/`; whatever else lies there is nobody's business."""

    store: OpenStore
    prefix: str
    kind: Kind
    cluster: str

    def __str__(self) -> str:
        return f"{self.store}/{self.prefix}".rstrip("/")

    def key(self, stamp: str, file: str) -> str:
        """Give the key of a file of an export."""
        return f"{self.prefix}{stamp}/{file}"

    def ids(self) -> tuple[str, ...]:
        """List the exports that have their record, oldest first."""
        return self._having(_RECORD)

    def leftovers(self) -> tuple[str, ...]:
        """List what runs of ours have begun and not finished."""
        return tuple(stamp for stamp in self._having(_BEGUN) if stamp not in self.ids())

    def get(self, version: str) -> Export:
        """Give an export by its id, or the latest; CheckFailed when there is none."""
        known = self.ids()
        stamp = known[-1] if version == "latest" and known else version
        if stamp not in known:
            raise CheckFailed(
                f"there is no {self.kind} export {version!r} in {self}",
                detail=f"the newest are: {', '.join(known[-5:]) or 'none'}",
                hint="Name one of these, or latest.",
            )
        return self._parsed(stamp, self.store.get(self.key(stamp, _RECORD)))

    def of_run(self, run_id: str) -> Export | None:
        """Give the export that a run has made, if it has, and if all its files are still there."""
        for stamp in reversed(self.ids()):
            with suppress(Damaged):
                export = self._parsed(stamp, self.store.get(self.key(stamp, _RECORD)))
                if export.run_id == run_id and self._has_all(export):
                    return export
        return None

    def _has_all(self, export: Export) -> bool:
        """Compare the sizes that the store lists with those of the record."""
        listed = {info.key: info.size for info in self.store.list(self.key(export.id, ""))}
        wanted = {self.key(export.id, file.file): file.size for file in export.files}
        lacking = [key for key, size in wanted.items() if listed.get(key) != size]
        if lacking:
            log.warning("export %s in %s is not whole: %s", export.id, self, ", ".join(lacking))
        return not lacking

    def begin(self, run_id: str) -> str:
        """Mark an export as begun, before any of it is there; give its id."""
        taken, at = {*self.ids(), *self._having(_BEGUN)}, datetime.now(UTC)
        while (taken and f"{at:%Y%m%d%H%M%S}" <= max(taken)) or f"{at:%Y%m%d%H%M%S}" in taken:
            at += timedelta(seconds=1)
        stamp = f"{at:%Y%m%d%H%M%S}"
        self.store.put(self.key(stamp, _BEGUN), run_id.encode())
        return stamp

    def enter(self, stamp: str, files: Sequence[ExportedFile], run_id: str) -> Export:
        """Write the record: from now on it is an export."""
        export = Export(
            id=stamp,
            kind=self.kind,
            cluster=self.cluster,
            files=tuple(files),
            finished=datetime.now(UTC),
            run_id=run_id,
        )
        text = export.model_dump_json(indent=2).encode() + b"\n"
        self.store.put(self.key(stamp, _RECORD), text)
        self.store.remove([self.key(stamp, _BEGUN)])
        return export

    def expendable(self, keep: int, *, coming: bool = False) -> tuple[str, ...]:
        """List the exports that a rule no longer keeps, oldest first.

        A plan counts the export that is still `coming` as one of those that are kept.
        """
        ids = self.ids()
        return ids[: max(0, len(ids) - keep + coming)]

    def remove(self, stamp: str) -> None:
        """Remove an export, its record first; its mark stands until the end."""
        begun = self.key(stamp, _BEGUN)
        if stamp not in self._having(_BEGUN):
            self.store.put(begun, b"removal")
        self.store.remove([self.key(stamp, _RECORD)])
        keys = [info.key for info in self.store.list(f"{self.prefix}{stamp}/")]
        self.store.remove([key for key in keys if key != begun])
        self.store.clear_abandoned(f"{self.prefix}{stamp}/")
        self.store.remove([begun])

    def _having(self, name: str) -> tuple[str, ...]:
        found = (info.key[len(self.prefix) :].split("/") for info in self.store.list(self.prefix))
        return tuple(sorted(parts[0] for parts in found if parts[1:] == [name] and _is(parts[0])))

    def _parsed(self, stamp: str, raw: bytes) -> Export:
        try:
            export = Export.model_validate_json(raw)
        except ValidationError as error:
            raise Damaged(
                f"the record of export {stamp} in {self} cannot be used",
                detail=str(error.errors()[:3]),
            ) from error
        if (export.id, export.kind, export.cluster) != (stamp, self.kind, self.cluster):
            raise Damaged(
                f"the record of export {stamp} in {self} is that of "
                f"{export.kind} {export.id} of {export.cluster}"
            )
        return export


def _is(stamp: str) -> bool:
    return len(stamp) == 14 and stamp.isdigit()
