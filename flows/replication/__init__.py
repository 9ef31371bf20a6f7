"""Runbooks for clusters that replicate."""
