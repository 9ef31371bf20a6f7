"""Measurements: our runbooks beside the page's commands, Barman, pgBackRest and rclone, paired."""
