"""Putting a backup in the place of a data directory, and back again."""
