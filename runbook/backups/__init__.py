"""Backups: what is stored, how it is found, verified, kept and put back."""
