"""What an import would change is shown by lines, and what looks like a secret is not."""

from __future__ import annotations

from runbook.platform.documents import Comparison


def test_lines_with_secrets_are_hidden_and_the_others_shown() -> None:
    old = b'on job::/ {\n  password: "hunter2"\n  permit read\n}\n'
    new = b'on job::/ {\n  password: "hunter3"\n  permit all\n}\n'
    said = Comparison({"jobs": new}, {"jobs": old}).changes("jobs")
    assert "hunter" not in said
    assert "-*** (looks like a secret)\n" in said
    assert "+*** (looks like a secret)\n" in said
    assert "-  permit read\n" in said
    assert "+  permit all" in said
