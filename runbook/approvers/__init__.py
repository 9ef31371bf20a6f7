"""Approvals by people who prove who they are."""
