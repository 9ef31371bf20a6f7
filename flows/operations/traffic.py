"""Traffic of an application forced to one server, or given back to all.

When: SIP requests shall go to one of two servers: maintenance, or trouble on the other.
Loses: calls in progress through the server that is switched off.
Requires: the application on every server among the cluster's applications; an approval.
Way back: start it again with to=all.
"""

from __future__ import annotations

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import traffic as proxies


@procedure("traffic", needs="apps")
def traffic(
    cluster: str, app: str, to: str = "all", reason: str = "", dry_run: bool = True
) -> None:
    """Force an application's traffic to one server by switching it off on the others.

    Args:
        cluster: Name of the cluster.
        app: Name of the application, the same on every server, such as sip.
        to: Name of the server that shall carry the traffic; all gives it back to every one.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with step("1", "See where the proxy runs"):
        found = proxies.find(load_cluster(cluster), app, to)

    with step("2", "Ask for the go-ahead"):
        approve(f"Traffic of {app} goes to: {to}.")

    with step("3", "Start the proxy where the traffic shall go"):
        proxies.start(found)

    with step("4", "Switch off the proxy on the other server"):
        proxies.stop_others(found)

    with step("5", "See that the traffic has its way"):
        proxies.validate(found)
