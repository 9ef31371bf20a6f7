"""Base backups and their restoration."""
