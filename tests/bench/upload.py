"""Upload files as anybody would: boto3's upload_file.

Arguments: a folder in the bucket, files; or --remove, which empties the bucket.
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


def main(folder: str, names: list[str]) -> None:
    """Upload the files, or empty the bucket."""
    import boto3

    if folder == "--remove":
        boto3.resource("s3").Bucket(os.environ["BENCH_BUCKET"]).objects.all().delete()
        return
    client = boto3.client("s3")
    for name in names:
        client.upload_file(name, os.environ["BENCH_BUCKET"], f"{folder}/{Path(name).name}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
