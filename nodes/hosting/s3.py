"""Pictures in a bucket of your own: Amazon S3, Cloudflare R2, MinIO, Backblaze and everything alike."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from ..generation.errors import UploadFailed
from ..generation.hosting import Hosting
from ..generation.request import SourceVideo

if TYPE_CHECKING:
    from ..generation.clock import Clock
    from ..generation.credentials import Credentials
    from ..generation.request import Upload

URL_LIFE: Final = 24 * 3600
"""Seconds a link works: longer than any job waits in a provider's queue. Signatures allow at most 7 days."""
_making_clients = threading.Lock()  # boto3's default session is not safe to create from two threads


class S3(Hosting):
    """Uploads once per content and hands over a link that expires; the bucket stays private."""

    name = "s3"
    title = "S3-compatible bucket"
    settings = ("LUMA_RAY_S3_BUCKET",)
    how = (
        "set LUMA_RAY_S3_BUCKET (and for anything but Amazon LUMA_RAY_S3_ENDPOINT, such as "
        "https://<account>.r2.cloudflarestorage.com), with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or any "
        "other of boto3's ways to sign in; needs boto3 (pip install boto3)."
    )

    life = URL_LIFE
    finds_again = True

    def publish(self, upload: Upload, credentials: Credentials, clock: Clock) -> str:  # noqa: ARG002
        """Put the picture or film there unless it is there already; the link works for `URL_LIFE` seconds."""
        try:
            import boto3  # noqa: F401 - botocore alone is there where only Amazon's command line is installed
            import botocore.exceptions
        except ImportError:
            raise UploadFailed(
                "Uploading to an S3-compatible bucket needs boto3: run 'pip install boto3' in ComfyUI's Python. "
                "Nothing was sent or billed."
            ) from None
        bucket = credentials.setting("LUMA_RAY_S3_BUCKET")
        prefix = credentials.setting("LUMA_RAY_S3_PREFIX").strip("/") or "luma-ray"
        what = "film" if isinstance(upload, SourceVideo) else "picture"
        reduced = not isinstance(upload, SourceVideo) and upload.reduced_from
        size = f"-{upload.width}x{upload.height}" if reduced else ""
        place = {"Bucket": bucket, "Key": f"{prefix}/{upload.original}{size}.{upload.suffix}"}
        try:
            client = _client(credentials)
            if not _exists(client, place):
                _put(client, place, upload)
            return str(client.generate_presigned_url("get_object", Params=place, ExpiresIn=URL_LIFE))
        except botocore.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise UploadFailed(
                f"The bucket {bucket!r} did not take the {what} ({code}). Nothing was billed. Check the bucket's "
                "name, its region (LUMA_RAY_S3_REGION) and that the key may put and get objects."
            ) from None
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise UploadFailed(
                f"The bucket {bucket!r} could not be used ({type(error).__name__}). Nothing was billed. Check "
                "LUMA_RAY_S3_ENDPOINT, the network and the AWS credentials of ComfyUI's environment."
            ) from None


def _client(credentials: Credentials) -> Any:
    import boto3
    from botocore.config import Config

    endpoint = credentials.setting("LUMA_RAY_S3_ENDPOINT") or None
    with _making_clients:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            region_name=credentials.setting("LUMA_RAY_S3_REGION") or None,
            config=Config(
                signature_version="s3v4",
                # Stores that are not Amazon's refuse the checksum headers that boto3 adds by itself.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                # Left to itself, boto3 signs links to Amazon's global host, which sends readers of a young bucket
                # on to its region, where the signature is wrong.
                s3={"addressing_style": "path" if endpoint else "virtual"},
                connect_timeout=10,
                read_timeout=60,
                retries={"total_max_attempts": 3, "mode": "standard"},
            ),
        )


def _put(client: Any, place: dict[str, str], upload: Upload) -> None:
    if not isinstance(upload, SourceVideo):
        client.put_object(**place, Body=upload.file, ContentType=upload.media_type)
        return
    try:
        with upload.path.open("rb") as file:
            client.put_object(**place, Body=file, ContentType=upload.media_type)
    except OSError as error:
        raise UploadFailed(
            f"The film could not be read ({error.strerror or type(error).__name__}). Nothing was sent or billed."
        ) from None


def _exists(client: Any, place: dict[str, str]) -> bool:
    import botocore.exceptions

    try:
        client.head_object(**place)
    except botocore.exceptions.ClientError as error:
        # 403 is what a key without the right to list gets for an object that is not there.
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (403, 404):
            return False
        raise
    return True
