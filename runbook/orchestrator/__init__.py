"""The Orchestrator of a platform: its database and configuration, backed up as one archive."""
