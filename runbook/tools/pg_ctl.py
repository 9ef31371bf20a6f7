"""pg_ctl and its relatives."""

from __future__ import annotations

from runbook.hosts import Command


def start(
    program: str, data_directory: str, *, user: str, log_file: str, options: str = ""
) -> Command:
    """Start a server and wait until it accepts connections or gives up.

    Ref.: PostgreSQL documentation, pg_ctl
    """
    more = ("-o", options) if options else ()
    argv = (program, "start", "-D", data_directory, "-l", log_file, "-w", "-t", "600", *more)
    return Command(argv, user=user)


def restart(
    program: str, data_directory: str, *, user: str, log_file: str, options: str = ""
) -> Command:
    """Stop a server at once and start it again, and wait until it accepts connections.

    Ref.: PostgreSQL documentation, pg_ctl
    """
    more = ("-o", options) if options else ()
    argv = (program, "restart", "-D", data_directory, "-l", log_file, "-m", "fast")
    return Command((*argv, "-w", "-t", "600", *more), user=user)


def stop(program: str, data_directory: str, *, user: str, wait: bool = True) -> Command:
    """Stop a server at once, ending its sessions and writing the shutdown checkpoint.

    Waiting, pg_ctl takes a server that a supervisor has started meanwhile for the one it stops.

    Ref.: PostgreSQL documentation, pg_ctl
    """
    argv = (program, "stop", "-D", data_directory, "-m", "fast")
    return Command((*argv, *(("-w", "-t", "600") if wait else ("-W",))), user=user)


def controldata(program: str, data_directory: str, *, user: str) -> Command:
    """Read the control file, whether or not the server runs.

    Ref.: PostgreSQL documentation, pg_controldata
    """
    env = (("LC_ALL", "C"),)
    return Command((program, "-D", data_directory), user=user, env=env, timeout=60)
