"""The command line `pg-runbooks`: every runbook, with a Prefect server or without any."""

from deployments.cli.app import main

__all__ = ["main"]
