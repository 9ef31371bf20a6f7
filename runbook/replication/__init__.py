"""A replicating cluster as seen from outside: who writes, who follows, what the metadata say."""
