"""Repointing: the address of a cluster's primary, in the files of the applications."""
