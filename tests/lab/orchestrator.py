"""Stands for the vendor's `orchestrator-cli`, which nobody can install, over a real database.

It takes the arguments of the written page, writes the files that the page names, and ends with
the exit codes of any such program; its backup is a real pg_dump. The page does not say how an
archive is laid out inside: this one has the release, the database, the configuration, metadata.
"""

from __future__ import annotations

from pathlib import Path

from tests.lab import processes
from tests.lab.machine_postgres import MachinePostgres
from tests.lab.postgres import PostgresNode

AnyNode = PostgresNode | MachinePostgres

DATABASE = "orchestrator"
ARCHIVE = "orchestrator_archive"
RELEASE = "2.4.0"
CONFIGURATION = """\
chef: {
  "continuum": {
    "cluster_name": "lab",
    "database_backups": {
      "access_key": "%(access)s",
      "secret_key": "%(secret)s",
      "endpoint": "us-west-2",
      "bucket": "lab-backups"
    }
  }
}
"""

HBA = (
    f"local all {DATABASE} trust",
    "local all all peer",
    "host all all 127.0.0.0/8 scram-sha-256",
)
"""Who is logged in on the Orchestrator is its database's user, too."""

_PROGRAM = """#!/bin/sh
# backup --config FILE | restore --file FILE | ssh
# deploy --dry -c FILE | deploy -c FILE --dry --release R
usage() {{ echo "unknown command or arguments: $*" >&2; exit 2; }}
export PGHOST={socket} PGPORT={port} PGUSER={role} PGAPPNAME=orchestrator-cli
PATH={programs}:$PATH
others() {{
  there=$(psql -w -X -q -A -t -d postgres -c \
    "SELECT 1 FROM pg_database WHERE datname = '{archive}'") || exit 1
  [ "$there" ] && return
  psql -w -X -q -d postgres -c 'CREATE DATABASE {archive} OWNER {database}' || exit 1
}}
case $1 in
backup)
  [ $# -eq 3 ] && [ "$2" = --config ] || usage "$@"
  [ -s "$3" ] || {{ echo "cannot read $3" >&2; exit 1; }}
  case $(head -n 1 "$3") in "chef:"*) ;; *) echo "cannot parse $3: $(cat "$3")" >&2; exit 1;; esac
  echo "Starting up database... done"
  inside=$(mktemp -d) || exit 1
  trap 'rm -rf "$inside"' EXIT
  trap 'exit 143' TERM HUP INT
  echo {release} >"$inside/release" && cp "$3" "$inside/cluster.conf" || exit 1
  echo '{{"created_by": "orchestrator-cli"}}' >"$inside/metadata.json"
  pg_dump -w -F {form} -f "$inside/orchestrator.dump" {database} || exit 1
  name=orchestrator_backup_$(date +%Y%m%d%H%M%S).tgz
  tar -czf "$name" -C "$inside" release orchestrator.dump cluster.conf metadata.json || exit 1
  echo "Backup written to $name"
  ;;
restore)
  [ $# -eq 3 ] && [ "$2" = --file ] || usage "$@"
  inside=$(mktemp -d) || exit 1
  trap 'rm -rf "$inside"' EXIT
  trap 'exit 143' TERM HUP INT
  tar -xzf "$3" -C "$inside" || exit 1
  others
  echo "Starting up database... done"
  case $(head -c 5 "$inside/orchestrator.dump") in
  PGDMP) pg_restore -w --exit-on-error -d {database} "$inside/orchestrator.dump" || exit 1 ;;
  *) psql -w -X -q -1 -v ON_ERROR_STOP=1 -d {database} -f "$inside/orchestrator.dump" || exit 1 ;;
  esac
  echo "Restored release $(cat "$inside/release")"
  ;;
deploy)
  case "$#:$2 $3 $4 $5" in
  4:"--dry -c "*) config=$4 ;;
  6:"-c "*" --dry --release") config=$3; echo "$6" >"${{0%/*}}/assets" || exit 1 ;;
  *) usage "$@" ;;
  esac
  [ -s "$config" ] || usage "$@"
  others
  psql -w -X -q -A -t -d {database} -c "SELECT 1" >/dev/null || exit 1
  echo "Generating dependency tree... done"
  echo "graph of $(date +%s%N)" >graph.png || exit 1
  echo "Dependency graph for dry run written to graph.png."
  ;;
ssh)
  echo "Starting up database... done"
  nodes=$(psql -w -X -q -A -t -d {database} -c "SELECT count(*) FROM nodes") || exit 1
  [ "$nodes" -gt 0 ] || {{ echo "No node matched your query" >&2; exit 1; }}
  echo "Multiple nodes matched your query, please select which:"
  psql -w -X -q -A -t -d {database} -c "SELECT row_number() OVER (ORDER BY name) || ') IP:'
    || host(address) || ', Name: ' || name || ', Tags: ' || array_to_string(tags, ',') FROM nodes"
  echo; printf "Pick a host [1]: "
  read -r host || exit 1
  echo "Last login: $(date)"
  while read -r line; do
    case $line in "exit "*) exit "${{line#exit }}" ;; exit) exit 1 ;; esac
  done
  exit 1
  ;;
*) usage "$@" ;;
esac
"""

_TABLES = (
    "CREATE TABLE nodes (id uuid PRIMARY KEY, name text NOT NULL, address inet, tags text[])",
    "INSERT INTO nodes SELECT md5(n::text)::uuid, 'node-' || n, '10.0.0.0'::inet + n,"
    " '{monitored,router}' FROM generate_series(1, 200) n",
    "CREATE TABLE cookbooks (name text, version text, content text, PRIMARY KEY (name, version))",
    "INSERT INTO cookbooks SELECT 'book-' || n, '1.' || n, repeat(md5(n::text), 40)"
    " FROM generate_series(1, 2000) n",
)
_FINGERPRINT = (
    "SELECT count(*), sum(hashtextextended(n::text, 0)) FROM nodes n;"
    "SELECT count(*), sum(hashtextextended(c::text, 0)) FROM cookbooks c"
)


def install(node: AnyNode, home: Path, *, form: str = "p", role: str = DATABASE) -> Path:
    """Put the program into a directory.

    `form` is how its backup dumps: p or c, as of pg_dump; `role` who it is for PostgreSQL.
    """
    path = home / f"orchestrator-cli-{form}" / "orchestrator-cli"
    path.parent.mkdir()
    text = _PROGRAM.format(
        socket=node.socket_directory,
        port=node.port,
        database=DATABASE,
        archive=ARCHIVE,
        role=role,
        programs=node.bin_directory,
        release=RELEASE,
        form=form,
    )
    return executable(path, text)


def executable(path: Path, text: str) -> Path:
    """Write a program."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def configure(path: Path, *, access: str, secret: str) -> None:
    """Write a cluster configuration file, for its owner alone."""
    path.touch(mode=0o600)
    path.write_text(CONFIGURATION % {"access": access, "secret": secret})
    processes.run(["chown", "postgres:postgres", path])


def fill(node: AnyNode) -> None:
    """Make the Orchestrator's database, owned by its role."""
    node.psql(f"CREATE ROLE {DATABASE} LOGIN")
    node.psql(f"CREATE DATABASE {DATABASE} OWNER {DATABASE}")
    for statement in _TABLES:
        node.psql(f"SET ROLE {DATABASE}; {statement}", database=DATABASE)


def fingerprint(node: AnyNode, *, database: str = DATABASE) -> str:
    """Give what the Orchestrator's database, or a restored one, holds."""
    return node.psql(_FINGERPRINT, database=database)
