"""A passive standby: one server follows another over a replication slot of its own."""
