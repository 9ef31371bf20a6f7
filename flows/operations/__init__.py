"""Runbooks of everyday operation."""
