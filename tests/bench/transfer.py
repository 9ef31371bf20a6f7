"""Carry files to and from a bucket as anybody would: boto3's upload_file and download_file.

Arguments: upload, a folder in the bucket, files; download, what the names begin with, a folder
here; or remove, which empties the bucket.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.s3 import S3Server


def environment(server: S3Server) -> dict[str, str]:
    """Give the environment that tells where to."""
    return {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": server.key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret,
        "AWS_DEFAULT_REGION": server.region,
        "BENCH_BUCKET": server.bucket,
    }


def main(order: str, *words: str) -> None:
    """Carry out an order."""
    import boto3

    bucket = boto3.resource("s3").Bucket(os.environ["BENCH_BUCKET"])
    if order == "remove":
        bucket.objects.all().delete()
    elif order == "upload":
        for name in words[1:]:
            bucket.upload_file(name, f"{words[0]}/{Path(name).name}")
    elif order == "download":
        prefix, folder = words
        for each in bucket.objects.filter(Prefix=prefix):
            bucket.download_file(each.key, f"{folder}/{each.key}")
    else:
        sys.exit(f"no such order: {order}")


if __name__ == "__main__":
    main(*sys.argv[1:])
