"""Base backups as streams: taken, decoded, checked and forwarded without touching a disk.

Knows nothing of hosts or stores; works on bytes in and bytes out.
"""
