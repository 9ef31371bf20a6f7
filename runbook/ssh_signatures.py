"""Signatures by SSH keys: a detached signature over a text, for one purpose only."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runbook.errors import CommandFailed

_HINT = "Give a private SSH key, or a public one whose private half the agent holds."


def sign(path: Path, key: Path, namespace: str) -> None:
    """Put the signature of a file beside it, as `<file>.sig`; CommandFailed when there is none.

    A public key lets ssh-keygen ask the agent for its private half. Ref.: ssh-keygen(1), -Y sign.
    """
    signature = signature_of(path)
    signature.unlink(missing_ok=True)
    done = keygen("sign", "-f", str(key), "-n", namespace, str(path))
    if done.returncode or not signature.exists():
        raise CommandFailed(f"{key} could not sign", detail=done.stderr.strip()[-500:], hint=_HINT)


def signed(text: str, key: Path, namespace: str) -> str:
    """Give the signature of a text in its armoured form."""
    with tempfile.TemporaryDirectory(prefix="pg-runbooks-sign-") as folder:
        path = Path(folder) / "text"
        path.write_text(text)
        sign(path, key, namespace)
        return signature_of(path).read_text()


def is_signed(text: str, signature: str, keys: Sequence[str], namespace: str) -> bool:
    """Tell whether one of the public keys signed exactly this text for exactly this purpose.

    Ref.: ssh-keygen(1), -Y verify, ALLOWED SIGNERS.
    """
    with tempfile.TemporaryDirectory(prefix="pg-runbooks-verify-") as folder:
        signers, beside = Path(folder) / "signers", Path(folder) / "text.sig"
        signers.write_text("".join(f'person namespaces="{namespace}" {key}\n' for key in keys))
        beside.write_text(signature)
        words = ("-f", str(signers), "-I", "person", "-n", namespace, "-s", str(beside))
        return keygen("verify", *words, stdin=text).returncode == 0


def signature_of(path: Path) -> Path:
    """Name the file that a signature lies in."""
    return path.with_name(f"{path.name}.sig")


def keygen(verb: str, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ssh-keygen -Y. Ref.: ssh-keygen(1)."""
    argv = ("ssh-keygen", "-Y", verb, *words)
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
