"""The encryption key of the backups that the Backup Manager makes."""

from __future__ import annotations

from runbook import check, ensure, fact, note
from runbook.cluster import Cluster
from runbook.manager.key import KeyOrder, key_order
from runbook.run import current
from tasks._task import task

_CONSOLE = "/var/vcap/jobs/anynines-backup-manager/bin/rails_c"


@task("show how guid and key are found")
def guide(cluster: Cluster) -> None:
    """Tell the commands of the page: they print the key, so a person types them, and no run."""
    instance = cluster.manager.instance if cluster.manager else "a9s-pg"
    note("by hand, as root on the Backup Manager's machine, where the key is shown on the screen:")
    note(_CONSOLE)
    note(f'irb> instance = Instance.where(instance_id: "{instance}").first')
    note("irb> instance.backup_encryption_key   # belongs into encryption_keys of the settings")
    note("irb> instance.guid   # belongs into logical.guid of the settings")
    if cluster.logical:
        note(f"the settings say: logical.guid is {cluster.logical.guid}")


@task("check the key of {cluster}")
def stored(cluster: Cluster) -> KeyOrder:
    """Insist that the key lies in the settings already and is none to be guessed."""
    order = key_order(cluster)
    fact("key", f"{order.name} of encryption_keys, fingerprint {order.fingerprint}")
    fact("a9s API", order.service.url)
    others = sorted(set(cluster.encryption_keys) - {order.name})
    note(f"older keys that stay to read older backups: {', '.join(others) or 'none'}")
    check(
        f"the key {order.name} is stored in the settings, and is none to be guessed",
        lambda: not order.weakness(),
        seen=order.weakness,
        hint="Make one with `openssl rand -hex 32`, keep it in two places, and save the settings.",
    )
    return order


@task("set the key")
def give(order: KeyOrder, again: bool) -> None:
    """Set the key, unless this worker has set the same one last."""
    run = current()
    ensure(
        "the a9s API has been given this key",
        holds=lambda: order.is_given(by_run=run.id if again else ""),
        by=lambda: [order.give(run.id)],
    )


@task("tell what is to be done next")
def next_steps(cluster: Cluster) -> None:
    """Say that nothing is encrypted with the key before a backup is made."""
    made = f"managed-backup on {cluster}" if cluster.manager else "the Backup Manager"
    note(f"now make a backup: {made}; until it is done, every backup needs an older key")
    note("then prove that the stored key opens it: a backup that nobody can open is none")
