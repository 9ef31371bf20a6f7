"""Runbooks for the data of an application platform."""
