"""Codes in answers: Prefect keeps what people type, and would tell it to who asks its API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import Pause

from flows._watch import told

_PREFIX, _RESPONSE = "suspended-approval-", "-response"
_AT_ONCE = 200


@contextmanager
def forgotten_at_the_end(run: UUID) -> Iterator[None]:
    """Have the answers with a code removed when a run ends; one that waits reads them again.

    A code that was used counts nowhere on this worker, but another has a ledger of its own.
    """
    try:
        yield
    except Pause:
        raise
    except BaseException:
        told(partial(_forget, run))
        raise
    told(partial(_forget, run))


def forget_codes(client: SyncPrefectClient, run: UUID) -> None:
    """Remove a run's answers that hold a code; our own record tells who answered what, and how."""
    given = client.filter_flow_run_input(
        run, key_prefix=_PREFIX, limit=_AT_ONCE, exclude_keys=set()
    )
    for each in given:
        said = each.decoded_value
        if each.key.endswith(_RESPONSE) and isinstance(said, dict) and said.get("code"):
            client.delete_flow_run_input(run, each.key)


def _forget(run: UUID) -> None:
    with get_client(sync_client=True) as client:
        forget_codes(client, run)
