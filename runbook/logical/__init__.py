"""Logical backups: one dump of all databases, encrypted, in parts, and what reads and loads it."""
