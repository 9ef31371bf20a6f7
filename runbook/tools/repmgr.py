"""repmgr, the way its own documentation calls it: as the server's user, with an absolute -f."""

from __future__ import annotations

from runbook.hosts import Command

# Languages differ in the numbers and words that a program must read.
_PLAIN = (("LC_ALL", "C"),)


def cluster_show(program: str, configuration: str, *, user: str) -> Command:
    """List the nodes as lines `node_id,availability(0|-1),recovery(0|1|-1)`.

    Exits with 25 when anything is not as the metadata say, also after a good promotion, and
    prints its lines all the same.

    Ref.: repmgr documentation, repmgr cluster show
    """
    argv = (program, "-f", configuration, "cluster", "show", "--csv")
    return Command(argv, user=user, env=_PLAIN, ok=(0, 25), timeout=60)


def service_pause(program: str, configuration: str, *, user: str) -> Command:
    """Keep every repmgrd of the cluster from failing over.

    Ref.: repmgr documentation, repmgr service pause
    """
    argv = (program, "-f", configuration, "service", "pause")
    return Command(argv, user=user, ok=(0, 26), timeout=60)


def service_unpause(program: str, configuration: str, *, user: str) -> Command:
    """Let every repmgrd of the cluster fail over again.

    Ref.: repmgr documentation, repmgr service unpause
    """
    argv = (program, "-f", configuration, "service", "unpause")
    return Command(argv, user=user, ok=(0, 26), timeout=60)


def promote(program: str, configuration: str, *, user: str, dry_run: bool = False) -> Command:
    """Promote this standby; exits with 8 while the old primary answers, and on a primary.

    Ref.: repmgr documentation, repmgr standby promote
    """
    more = ("--dry-run",) if dry_run else ()
    argv = (program, "-f", configuration, "standby", "promote", *more)
    return Command(argv, user=user, timeout=300)


def follow(program: str, configuration: str, *, user: str, upstream: int) -> Command:
    """Attach this standby to the node with id `upstream`.

    Never without the id: each node trusts its own copy of the metadata, and may choose a
    stale primary and exit with 0.

    Ref.: repmgr documentation, repmgr standby follow
    """
    argv = (program, "-f", configuration, "standby", "follow", f"--upstream-node-id={upstream}")
    return Command(argv, user=user, timeout=300)


def clone(
    program: str,
    configuration: str,
    source: tuple[str, ...],
    *,
    user: str,
    upstream: int,
    name: str,
    fast_checkpoint: bool = True,
) -> Command:
    """Clone a standby into the data directory of a repmgr.conf, and let pg_verifybackup judge it.

    `source` are connection options for the upstream, such as -h HOST -p PORT -U USER -d DATABASE;
    `name` is what its walsenders are called. It neither starts nor registers the node, and never
    gets -F: that would empty a directory.

    Ref.: repmgr documentation, repmgr standby clone
    """
    more = (f"--upstream-node-id={upstream}", *(("-c",) if fast_checkpoint else ()))
    argv = (program, *source, "-f", configuration, "standby", "clone", "--verify-backup", *more)
    return Command(argv, user=user, env=(*_PLAIN, ("PGAPPNAME", name)), leashed=True)


def register_standby(
    program: str, configuration: str, *, user: str, upstream: int, wait_sync: int = 60
) -> Command:
    """Write this standby's record anew and wait (seconds) until the standby has it too.

    Ref.: repmgr documentation, repmgr standby register
    """
    argv = (program, "-f", configuration, "standby", "register", "-F")
    wait = (f"--upstream-node-id={upstream}", f"--wait-sync={wait_sync}")
    return Command((*argv, *wait), user=user, timeout=wait_sync + 60.0)


def register_primary(program: str, configuration: str, *, user: str) -> Command:
    """Write this primary's record anew.

    Ref.: repmgr documentation, repmgr primary register
    """
    argv = (program, "-f", configuration, "primary", "register", "-F")
    return Command(argv, user=user, timeout=120)


def rejoin(
    program: str,
    configuration: str,
    conninfo: str,
    *,
    user: str,
    keeping: tuple[str, ...] = (),
    archive: str = "",
    dry_run: bool = False,
) -> Command:
    """Let this stopped node return as a standby of the primary at `conninfo`.

    With `keeping`, pg_rewind runs, and these files of the data directory are kept meanwhile in
    `archive`: pg_rewind would bring the primary's. `configuration` starts nothing by itself, so
    it is not waited for.

    Ref.: repmgr documentation, repmgr node rejoin
    """
    rewind = (
        "--force-rewind",
        f"--config-files={','.join(keeping)}",
        f"--config-archive-dir={archive}",
    )
    more = (*(rewind if keeping else ()), *(("--dry-run",) if dry_run else ()))
    argv = (program, "-f", configuration, "node", "rejoin", "-d", conninfo, "--no-wait", *more)
    return Command(argv, user=user, env=_PLAIN, leashed=True)


def node_check(program: str, configuration: str, *, user: str) -> Command:
    """Check this node from repmgr's point of view; exits with 25 when anything is not OK.

    Ref.: repmgr documentation, repmgr node check
    """
    argv = (program, "-f", configuration, "node", "check", "--csv")
    return Command(argv, user=user, env=_PLAIN, ok=(0, 25), timeout=60)
