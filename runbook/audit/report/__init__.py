"""Audit reports: one HTML file for a run or a period, for readers without this software."""
