"""Health of a cluster: what is looked at, what was found, and the calls that sites declare."""
