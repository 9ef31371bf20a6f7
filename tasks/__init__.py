"""Steps: each a goal and the actions that reach it."""
