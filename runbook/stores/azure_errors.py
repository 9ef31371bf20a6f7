"""What the Azure SDK says, in the dialect of this house; and what may be tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from runbook.errors import ObjectMissing, StoreError, StoreForbidden
from runbook.stores.patience import Transient
from runbook.stores.store import AlreadyThere

_AGAIN = {408, 429}
_RIGHTS = (
    "Check key_id (the account) and secret (its key, or a shared access signature with the "
    "rights racwdl), and the account's network rules."
)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise Transient or an error of ours for whatever the SDK raises inside."""
    try:
        yield
    except HttpResponseError as error:
        raise _answered(what, error) from error
    except (AzureError, OSError) as error:
        raise Transient(f"{type(error).__name__}: {error}") from error


def _answered(what: str, error: HttpResponseError) -> Exception:
    """Tell by status and code only: the server's text repeats parts of the request."""
    status = int(error.status_code or 0)
    code = str(getattr(error, "error_code", None) or "").rpartition(".")[2]
    seen = f"HTTP {status} {code}".rstrip() if status else type(error).__name__
    forbidden = status in {401, 403} or isinstance(error, ClientAuthenticationError)
    if not forbidden and (status >= 500 or status in _AGAIN or not status):
        return Transient(seen)
    kinds: tuple[tuple[bool, type[StoreError], str, str], ...] = (
        (forbidden, StoreForbidden, "not allowed", _RIGHTS),
        (status in {409, 412}, AlreadyThere, "there is one already", ""),
        ("ContainerNotFound" in code, StoreError, "there is no such container", "Create it first."),
        (status == 404, ObjectMissing, "there is no such object", ""),
        (True, StoreError, "the server refused", ""),
    )
    _, kind, text, hint = next(row for row in kinds if row[0])
    return kind(f"{what}: {text}", detail=seen, hint=hint)
