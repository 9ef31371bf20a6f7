"""PostgreSQL as seen from outside: nodes, and what they answer."""

from runbook.postgres.node import Node
from runbook.postgres.state import ControlData, Tablespace

__all__ = ["ControlData", "Node", "Tablespace"]
