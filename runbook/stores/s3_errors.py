"""What boto3 says, in the dialect of this house; and what may be tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSLError,
)
from urllib3.exceptions import HTTPError

from runbook.errors import ObjectMissing, StoreError, StoreForbidden, Unreachable
from runbook.stores.patience import Transient
from runbook.stores.store import AlreadyThere

_AGAIN = {
    *("SlowDown", "Throttling", "InternalError", "ServiceUnavailable", "RequestTimeout"),
    *("BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "OperationAborted"),
}
_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed"}
_CREDENTIALS = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId"}
_UNKNOWN_TO_SERVER = {"NotImplemented", "InvalidArgument", "InvalidRequest", "MissingContentMD5"}
_RENEW = "renew what the worker logs in with: its role, profile or AWS_SESSION_TOKEN."
_HINTS = {
    "RequestTimeTooSkewed": "The worker's clock is wrong: check its time service.",
    "ExpiredToken": f"The credentials have expired: {_RENEW}",
    "TokenRefreshRequired": f"The credentials have expired: {_RENEW}",
    "InvalidToken": f"The session token does not belong to the key: {_RENEW}",
    "InvalidAccessKeyId": "Check key_id.",
    "SignatureDoesNotMatch": "Check the secret.",
}
_RIGHTS = (
    "Check key_id and secret; the user needs s3:ListBucket, s3:GetObject, s3:PutObject, "
    "s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucketMultipartUploads."
)
_WORDLESS = {"400", "401", "403"}


class Unsupported(StoreError):
    """The server does not know what was asked of it."""


def is_wordless(error: StoreError) -> bool:
    """Tell whether the server refused and gave no reason, as in an answer to HEAD."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and cause.response["Error"]["Code"] in _WORDLESS


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise Transient or an error of ours for whatever boto3 raises inside."""
    try:
        yield
    except ClientError as error:
        raise _answered(what, error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StoreForbidden(
            f"{what}: there are no credentials",
            detail=str(error),
            hint="Set key_id and secret of the store, or give the worker a role.",
        ) from error
    except ParamValidationError as error:
        raise StoreError(f"{what} cannot be asked", detail=str(error)) from error
    except SSLError as error:
        raise Unreachable(
            f"{what}: no trust in the server's certificate",
            detail=str(error),
            hint="Name the file of its authority in AWS_CA_BUNDLE on the worker.",
        ) from error
    except (BotoCoreError, HTTPError, OSError) as error:
        raise Transient(f"{type(error).__name__}: {error}") from error


def _answered(what: str, error: ClientError) -> Exception:
    said = error.response.get("Error", {})
    code = str(said.get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    seen = f"HTTP {status} {code}: {said.get('Message', '')}".rstrip(": ")
    if code in _AGAIN or status == 429 or (status >= 500 and status != 501):
        return Transient(seen)
    kinds: tuple[tuple[bool, type[StoreError], str, str], ...] = (
        (status in {409, 412}, AlreadyThere, "there is one already", ""),
        (code in _REGION or status == 301, StoreError, "wrong region", "Correct region."),
        (
            status in {401, 403} or code in _CREDENTIALS,
            StoreForbidden,
            "not allowed",
            _HINTS.get(code, _RIGHTS),
        ),
        (code == "NoSuchBucket", StoreError, "there is no such bucket", "Create it first."),
        (status == 404, ObjectMissing, "there is no such object", ""),
        (
            status in {405, 501} or code in _UNKNOWN_TO_SERVER,
            Unsupported,
            "the server does not support this",
            "",
        ),
        (True, StoreError, "the server refused", ""),
    )
    _, kind, text, hint = next(row for row in kinds if row[0])
    return kind(f"{what}: {text}", detail=seen, hint=hint)
