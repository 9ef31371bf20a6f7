"""Two S3 servers over real HTTP, written independently of each other: moto and rclone."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.servers import LOOPBACK, free_port, server
from tests.lab.shaped_link import ShapedLink

BUCKET = "backups"


@dataclass(frozen=True)
class S3Server:
    """Where an S3 server answers and how to log in to its one bucket."""

    endpoint: str
    key_id: str
    secret: str = field(repr=False)
    pid: int
    bucket: str = BUCKET
    region: str = "us-east-1"
    directory: Path | None = None
    """Where rclone keeps the objects as files; None for moto, which keeps them in memory."""


@contextmanager
def moto() -> Iterator[S3Server]:
    """Run moto's server: answers as S3 does, errors included; any key is let in."""
    import boto3

    port = free_port()
    argv = (_program("moto_server"), "--host", LOOPBACK, "--port", str(port))
    with tempfile.TemporaryDirectory(prefix="moto-") as directory:
        log = Path(directory) / "moto.log"
        with server(argv, port=port, log=log) as pid:
            s3 = S3Server(f"http://{LOOPBACK}:{port}", "lab-key", "lab-secret", pid)
            client = boto3.client(
                "s3",
                endpoint_url=s3.endpoint,
                aws_access_key_id=s3.key_id,
                aws_secret_access_key=s3.secret,
                region_name=s3.region,
            )
            client.create_bucket(Bucket=s3.bucket)
            client.close()
            yield s3


@contextmanager
def rclone(link: ShapedLink | None = None) -> Iterator[S3Server]:
    """Run `rclone serve s3` over a directory: checks signatures, knows nothing of boto.

    With a link, it runs at the link's far end.

    Ref.: https://rclone.org/commands/rclone_serve_s3/
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rclone-") as directory:
        root = Path(directory) / "objects"
        (root / BUCKET).mkdir(parents=True)
        address = link.address if link else LOOPBACK
        argv: tuple[str, ...] = (str(_program("rclone")), "serve", "s3")
        argv = (*argv, "--addr", f"{address}:{port}", str(root))
        env = {"RCLONE_CONFIG": "/dev/null", "RCLONE_AUTH_KEY": '"lab-key,lab-secret"'}
        log = Path(directory) / "rclone.log"
        whole = link.inside(*argv) if link else argv
        with server(whole, port=port, log=log, env=env, address=address) as pid:
            endpoint = f"http://{address}:{port}"
            yield S3Server(endpoint, "lab-key", "lab-secret", pid, directory=root / BUCKET)


def _program(name: str) -> Path:
    return Path(sys.executable).parent / name
