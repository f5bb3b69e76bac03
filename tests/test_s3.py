"""Pictures in a bucket: put there once, handed over by a link that expires."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
from fakes import FakeClock, picture
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.hosting import choose
from luma_ray.nodes.generation.request import StillImage
from luma_ray.nodes.hosting import HOSTS
from luma_ray.nodes.hosting.s3 import S3, URL_LIFE

CLOCK = FakeClock()
SECRET = "aws-secret-0123456789abcdef"
PNG = b"\x89PNG the pixels"


@pytest.fixture
def account(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "aws-id-0123456789")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def bucket(s3_address, account, monkeypatch, request):
    """An empty bucket that keeps every version, with the pack set up to use it."""
    store = boto3.session.Session().resource("s3", endpoint_url=s3_address)
    made = store.create_bucket(Bucket=f"bucket-{abs(hash(request.node.name))}")
    made.Versioning().enable()
    monkeypatch.setenv("LUMA_RAY_S3_ENDPOINT", s3_address)
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", made.name)
    return made


@pytest.fixture
def credentials(tmp_path) -> Credentials:
    return Credentials(tmp_path)


def still(sha256: str = "ab" * 32, encoded: list[str] | None = None) -> StillImage:
    def encode(media_type: str) -> bytes:
        if encoded is not None:
            encoded.append(media_type)
        return PNG + sha256.encode()

    return StillImage(width=4, height=2, sha256=sha256, encode=encode)


def keys(bucket) -> list[str]:
    return [version.key for version in bucket.object_versions.all()]


def failure(credentials) -> str:
    with pytest.raises(errors.UploadFailed, match=r"Nothing was (sent or )?billed") as caught:
        S3().publish(still(), credentials, CLOCK)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_a_picture_is_put_there_as_png_under_the_hash_of_its_pixels(bucket, credentials):
    S3().publish(still(), credentials, CLOCK)
    (key,) = keys(bucket)
    assert key == f"luma-ray/{'ab' * 32}.png"
    stored = bucket.Object(key).get()
    assert stored["Body"].read() == PNG + b"ab" * 32
    assert stored["ContentType"] == "image/png"


def test_the_same_content_is_put_there_once(bucket, credentials):
    encoded = []
    for _ in range(3):
        S3().publish(still(encoded=encoded), credentials, CLOCK)
    assert len(keys(bucket)) == 1
    assert encoded == ["image/png"]


def test_other_content_is_put_beside_it(bucket, credentials):
    links = {S3().publish(still(sha), credentials, CLOCK).split("?")[0] for sha in ("ab" * 32, "cd" * 32)}
    assert len(links) == len(keys(bucket)) == 2


def test_the_link_works_for_anybody_and_for_a_day(bucket, credentials):
    link = S3().publish(still(), credentials, CLOCK)
    reply = requests.get(link, timeout=5)
    assert (reply.status_code, reply.content) == (200, PNG + b"ab" * 32)
    assert reply.headers["Content-Type"] == "image/png"
    told = parse_qs(urlsplit(link).query)
    assert told["X-Amz-Expires"] == [str(URL_LIFE)] == ["86400"]
    assert told["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert SECRET not in link


def test_the_folder_in_the_bucket_can_be_chosen(bucket, credentials, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_S3_PREFIX", "/films/tests/")
    S3().publish(still(), credentials, CLOCK)
    assert keys(bucket) == [f"films/tests/{'ab' * 32}.png"]


def test_the_settings_may_be_saved_beside_the_keys(bucket, credentials, monkeypatch):
    for name in ("LUMA_RAY_S3_BUCKET", "LUMA_RAY_S3_ENDPOINT"):
        credentials.save(name, credentials.setting(name))
        monkeypatch.delenv(name)
    S3().publish(still(), credentials, CLOCK)
    assert len(keys(bucket)) == 1


def test_eight_threads_can_publish_at_once(bucket, credentials):
    shas = [f"{number:064x}" for number in range(4)] * 2
    with ThreadPoolExecutor(8) as pool:
        links = list(pool.map(lambda sha: S3().publish(still(sha), credentials, CLOCK), shas))
    assert [requests.get(link, timeout=5).content[len(PNG) :].decode() for link in links] == shas


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-central-1", "pictures.s3.eu-central-1.amazonaws.com"), ("us-east-1", "pictures.s3.amazonaws.com")],
)
def test_at_amazon_the_link_names_the_buckets_region(account, credentials, monkeypatch, region, host):
    # The global host sends readers of a young bucket elsewhere in another region; the signature is wrong there.
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "pictures")
    monkeypatch.setenv("LUMA_RAY_S3_REGION", region)
    monkeypatch.setattr("luma_ray.nodes.hosting.s3._exists", lambda client, place: True)
    assert urlsplit(S3().publish(still(), credentials, CLOCK)).hostname == host


# -- what can be wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["boto3", "botocore"])
def test_without_boto3_there_is_one_clear_sentence(credentials, monkeypatch, package):
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "pictures")
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    assert failure(credentials) == (
        "Uploading to an S3-compatible bucket needs boto3: run 'pip install boto3' in ComfyUI's Python. "
        "Nothing was sent or billed."
    )


def test_a_bucket_that_is_not_there_is_a_sentence(bucket, credentials, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "not-there")
    assert failure(credentials).startswith("The bucket 'not-there' did not take the picture (NoSuchBucket).")


def test_a_bucket_name_that_cannot_be_is_a_sentence(bucket, credentials, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "no such bucket/x?y")
    assert "'no such bucket/x?y' could not be used" in failure(credentials)


@pytest.mark.parametrize("endpoint", ["minio", "http://", "http://127.0.0.1:port", "{closed}"])
def test_an_endpoint_that_does_not_work_is_a_sentence(
    account, credentials, monkeypatch, endpoint, closed_port
):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "pictures")
    monkeypatch.setenv("LUMA_RAY_S3_ENDPOINT", endpoint.format(closed=closed_port))
    assert "Check LUMA_RAY_S3_ENDPOINT" in failure(credentials)


@pytest.fixture
def closed_port() -> str:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_no_aws_credentials_are_a_sentence(s3_address, credentials, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "pictures")
    monkeypatch.setenv("LUMA_RAY_S3_ENDPOINT", s3_address)
    assert "NoCredentialsError" in failure(credentials)


def test_a_profile_that_is_not_there_is_a_sentence(s3_address, credentials, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "pictures")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "ProfileNotFound" in failure(credentials)


# -- choosing a hosting -------------------------------------------------------------------------------------


def test_a_bucket_that_is_set_is_chosen(credentials, monkeypatch):
    assert not S3().ready(credentials)
    monkeypatch.setenv("LUMA_RAY_S3_BUCKET", "pictures")
    assert isinstance(choose(HOSTS, credentials, "Luma"), S3)


def test_without_any_hosting_every_way_is_named_and_nothing_is_billed(credentials):
    with pytest.raises(errors.HostingRequired) as caught:
        choose(HOSTS, credentials, "Luma")
    told = str(caught.value)
    assert "Luma takes pictures only from a public URL" in told
    assert "Nothing was sent or billed" in told
    for hosting in HOSTS:
        assert hosting.title in told
        assert all(name in told for name in hosting.settings)
    for setting in (
        "LUMA_RAY_S3_ENDPOINT",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "pip install boto3",
    ):
        assert setting in told


def test_a_picture_is_not_encoded_before_the_bucket_is_known_to_lack_it(bucket, credentials):
    S3().publish(still(), credentials, CLOCK)
    assert S3().publish(picture(), credentials, CLOCK)  # the same hash: what it would encode to is not asked
    assert bucket.Object(keys(bucket)[0]).get()["Body"].read() == PNG + b"ab" * 32
