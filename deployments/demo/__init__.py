"""The demo: a shop loses a table and gets it back, with everything that a real one has."""
