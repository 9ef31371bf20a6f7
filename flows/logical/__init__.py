"""Runbooks for logical backups, made by our own hands or by the a9s Backup Manager."""
