"""The three kinds of outcome that a reader tells apart: good, held, bad."""

from __future__ import annotations

KINDS = {
    "good": "completed, nothing to do",
    "held": "refused, not answered, waiting",
    "bad": "failed, cut off, interrupted",
}
"""What a legend says of them, in the order in which they are drawn."""

_KINDS = {
    "completed": "good",
    "nothing to do": "good",
    "done": "good",
    "approve": "good",
    "reached": "good",
    "already so": "good",
    "not needed": "good",
    "whole": "good",
    "refused": "held",
    "refuse": "held",
    "not answered": "held",
    "waiting": "held",
    "locked again": "held",
    "under way": "held",
    "not sealed": "held",
    "not set": "held",
    "unfinished": "bad",
}


def kind(outcome: object) -> str:
    """Give the kind of an outcome; what is not known is bad."""
    return _KINDS.get(str(outcome), "bad")
