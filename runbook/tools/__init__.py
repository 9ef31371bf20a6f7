"""One command-line tool, one module of pure functions that give its commands."""
