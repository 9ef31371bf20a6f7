"""Replication access to a node: is it granted, and how it is granted narrowly and safely."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.actions import Execute
from runbook.cluster import Cluster
from runbook.errors import CheckFailed
from runbook.hosts import Command
from runbook.hosts.machines import Local
from runbook.postgres import hba
from runbook.postgres.hba import HbaRule
from runbook.postgres.login import address_seen, refusal
from runbook.postgres.node import Node

# Adds a rule: the file is replaced whole, the old one kept aside, and put back if the server
# reports an error in the new one. Owner, mode and symbolic link stay.
# Arguments: file, its expected SHA-256, the rule, the line it goes before (0: at the end), psql.
_ADD = """set -eu
export LC_ALL=C RULE="$3"
file=$(readlink -f "$1") expected=$2 at=$4; shift 4
new=$file.pg-runbooks-new aside=$file.before-$(printf %.12s "$expected")
trap 'rm -f "$new"' EXIT
same() { test "$(sha256sum <"$1" | cut -c1-64)" = "$expected" || {
  echo "$file was changed by somebody else meanwhile" >&2; exit 3; } }
cp -p "$file" "$new"
same "$new"
test "$(stat -c %u:%g:%a "$file")" = "$(stat -c %u:%g:%a "$new")" || {
  echo "$(id -un) cannot keep the owner of $file" >&2; exit 5; }
awk -v at="$at" 'NR == at { print ENVIRON["RULE"] } { print }
  END { if (at == 0) print ENVIRON["RULE"] }' "$file" >"$new"
cp -p "$file" "$aside"
sync "$new" "$aside"
same "$file"
mv "$new" "$file"
wrong=$("$@") || wrong="the server did not answer: $wrong"
test -z "$wrong" || {
  cp -p "$aside" "$new"; mv "$new" "$file"; echo "put back: $wrong" >&2; exit 4; }
"""

ERRORS = (
    "SELECT string_agg('line ' || line_number || ': ' || error, '; ') "
    "FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL AND type IS NULL"
)

# The rules are read from the files; whether the server has loaded them is told by its last reload.
# Times of files come in whole seconds: the last second before a reload counts as not loaded.
LOADED = """
SELECT pg_catalog.pg_conf_load_time() >= max(greatest(file.modification, file.change))
       + interval '1 second' AS loaded
FROM (SELECT current_setting('hba_file') AS name
      UNION SELECT to_jsonb(r) ->> 'file_name' FROM pg_catalog.pg_hba_file_rules AS r) AS files,
     LATERAL pg_catalog.pg_stat_file(files.name) AS file
WHERE files.name IS NOT NULL
"""


def rules(node: Node) -> tuple[HbaRule, ...]:
    """Read the node's pg_hba.conf as the server would."""
    return tuple(HbaRule.model_validate(row) for row in node.ask(hba.RULES))


def is_granted(node: Node, cluster: Cluster) -> bool:
    """Tell whether base backups can be taken: by logging in as they will.

    CheckFailed when the rules let the login in and the server still does not.
    """
    refused = refusal(node, cluster)
    if refused and not by_rules(refused) and is_let_in(rules(node), _visit(node, cluster, refused)):
        raise CheckFailed(
            f"{node} does not accept the login {cluster.replication.user} for base backups",
            detail=refused,
            hint="Its rule in pg_hba.conf is there. Check replication_password of the cluster, "
            "and that the role may LOGIN and has REPLICATION.",
        )
    return not refused


def insist_on_grantable(node: Node, cluster: Cluster) -> None:
    """Refuse what an added rule could not mend."""
    if is_granted(node, cluster):
        return
    wrong = hba.errors(rules(node))
    if wrong:
        raise CheckFailed(
            f"pg_hba.conf of {node} has errors, so the server would not load it",
            detail="; ".join(wrong),
            hint="Correct these lines first.",
        )
    if not cluster.replication.grant:
        raise CheckFailed(
            f"{node} does not let {cluster.replication.user} take base backups",
            detail="The settings forbid to add a rule (replication.grant).",
            hint=f"Add to pg_hba.conf: {_visit(node, cluster, refusal(node, cluster)).line}",
        )
    if cluster.replication.method != "trust" and not _has_password(cluster):
        raise CheckFailed(
            f"cluster {cluster} has no replication_password",
            detail=f"replication.method is {cluster.replication.method}",
            hint="Set the password in the inventory, or method: trust if the page is to be obeyed.",
        )


def grant(node: Node, cluster: Cluster) -> tuple[Execute, ...]:
    """Give the actions that add the narrowest rule where it counts, and reload."""
    return granting(node, _visit(node, cluster, refusal(node, cluster)), why="base backups")


@dataclass(frozen=True)
class Visit:
    """A replication login: who comes, from where, with what, and how a rule would let it in.

    `ssl` tells how it may come: with TLS (True), without (False), in the order of its attempts.
    """

    user: str
    address: str
    method: str
    has_password: bool
    ssl: tuple[bool, ...] = (True, False)

    @property
    def line(self) -> str:
        """Write the narrowest rule."""
        return hba.narrowest(self.user, self.address, self.method)


def granting(node: Node, visit: Visit, *, why: str) -> tuple[Execute, ...]:
    """Give the actions that let a visit in: the narrowest rule where it counts, and a reload."""
    found = rules(node)
    reload = Execute(node.console, node.statement("SELECT pg_catalog.pg_reload_conf()"))
    first = _first(found, visit.user, visit.address)
    let_in = hba.lets_in(first, has_password=visit.has_password)
    if let_in and is_let_in(found, visit) and not _is_loaded(node):
        return (reload,)
    path = node.identity().hba_file
    digest = node.console.read("sha256sum", path, user=node.server_user).lstrip("\\")[:64]
    before = _place(first, path)
    argv = ("sh", "-c", _ADD, "add", path, digest, f"# pg-runbooks: {why}\n{visit.line}")
    write = Command((*argv, str(before), *node.statement(ERRORS).argv), user=node.server_user)
    where = f", before line {before}" if before else ""
    return Execute(node.console, write, shown=f"add to {path}{where}: {visit.line}"), reload


def is_let_in(found: tuple[HbaRule, ...], visit: Visit) -> bool:
    """Tell whether the rules in the file let a visit in, with or without TLS."""
    deciding = (hba.deciding(found, visit.user, visit.address, ssl=ssl) for ssl in visit.ssl)
    return any(hba.lets_in(rule, has_password=visit.has_password) for rule in deciding)


def _first(found: tuple[HbaRule, ...], user: str, address: str) -> HbaRule | None:
    """Find the first rule that may decide: the new one goes before it."""
    return next((rule for rule in found if rule.may_decide(user, address)), None)


def _place(first: HbaRule | None, path: str) -> int:
    """Give the line to go before; 0 is the end. Before an included file, the first line."""
    if first is None:
        return 0
    return first.line_number if first.file_name in (None, path) else 1


def _visit(node: Node, cluster: Cluster, refused: str) -> Visit:
    return Visit(
        user=cluster.replication.user,
        address=address_seen(refused, node.address),
        method=cluster.replication.method,
        has_password=_has_password(cluster),
        ssl=_kinds(node),
    )


def _kinds(node: Node) -> tuple[bool, ...]:
    """Give how we come: libpq tries TLS first, but never on the Unix socket of our tunnel."""
    if not isinstance(node.host.way, Local):
        return (False,)
    ssl = node.ask("SELECT current_setting('ssl')::bool AS ssl")[0]["ssl"] is True
    return (True, False) if ssl else (False,)


def by_rules(refused: str) -> bool:
    """Tell a refusal by the rules from one by password: it names the file in every language."""
    return "pg_hba" in refused


def _is_loaded(node: Node) -> bool:
    return node.ask(LOADED)[0]["loaded"] is True


def _has_password(cluster: Cluster) -> bool:
    return bool(cluster.replication_password.get_secret_value())
