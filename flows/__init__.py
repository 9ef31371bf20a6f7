"""Procedures: one file, one runbook; its page beside it."""
