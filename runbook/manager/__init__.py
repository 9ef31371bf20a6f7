"""The a9s Backup Manager and the a9s API: backups and restores that a vendor's service makes."""
