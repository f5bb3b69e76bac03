"""What every test shares: the pack under a legal name, no network beyond loopback, no real waiting."""

from __future__ import annotations

import os
import socket
import sys
import types
from functools import cache
from pathlib import Path

import databases
import pytest

pytest_plugins = ["frontend.fixtures"]
_NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"),
)
_PROVIDERS = ("LUMA", "AWS_", "WAVESPEED", "LLM_STATS", "RAILWAIL", "FAL_", "REPLICATE", "COMFY_")
"""What the names of their variables begin with."""
ROOT = Path(__file__).resolve().parent.parent

# ComfyUI imports the pack under a name made from its path. Tests import it as `luma_ray`, without
# running the root __init__.py and without the root on sys.path (there `nodes` is ComfyUI's own module).
if "luma_ray" not in sys.modules:
    package = types.ModuleType("luma_ray")
    package.__path__ = [str(ROOT)]
    sys.modules["luma_ray"] = package


@pytest.fixture
def luma(monkeypatch):
    """Luma's emulator, with this process set up to use it."""
    from emulators.luma import LumaEmulator

    with LumaEmulator() as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


@pytest.fixture
def work(tmp_path):
    """A studio of the test's own."""
    from studios import Work

    return Work(tmp_path)


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL of this session's own."""
    server = databases.Server()
    yield server
    server.stop()


WITHOUT = [pytest.mark.skip(reason=databases.missing())] if databases.missing() else []


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=WITHOUT)])
def journal_url(request, tmp_path):
    """An empty place for a journal: a file, and once more in a shared database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    return request.getfixturevalue("postgresql").journal()


@pytest.fixture(scope="session")
def s3_address():
    """An S3 of this process on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@cache
def _s3(address):
    """Once for all tests: making a session takes longer than most of them."""
    import boto3

    keys = {"aws_access_key_id": "aws-id-0123456789", "aws_secret_access_key": "aws-secret-0123456789"}
    return boto3.session.Session(region_name="us-east-1", **keys).resource("s3", endpoint_url=address)


@pytest.fixture
def bucket(s3_address, monkeypatch):
    """A bucket for the pictures that a provider takes by URL only, and the pack set up to use it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "aws-id-0123456789",
        "AWS_SECRET_ACCESS_KEY": "aws-secret-0123456789",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LUMA_RAY_S3_ENDPOINT": s3_address,
        "LUMA_RAY_S3_BUCKET": "pictures",
    }.items():
        monkeypatch.setenv(name, value)
    made = _s3(s3_address).create_bucket(Bucket="pictures")
    yield made
    made.objects.delete()
    made.delete()


def private(monkeypatch, folder):
    """No key, journal, proxy, certificate or home folder of whoever runs the tests; so a test buys nothing."""
    for name in list(os.environ):
        if name.startswith(_PROVIDERS) or name.upper() in _NETWORK:
            monkeypatch.delenv(name)
    monkeypatch.setenv("LUMA_RAY_HOME", str(folder / "home"))
    monkeypatch.setenv("LUMA_RAY_COLLECT", "off")
    monkeypatch.setenv("NETRC", str(folder / "no-netrc"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(folder / "none"))


@pytest.fixture(autouse=True)
def _nothing_of_this_machine_reaches_a_test(monkeypatch, tmp_path):
    private(monkeypatch, tmp_path)


@pytest.fixture(autouse=True)
def _no_test_leaves_loopback(monkeypatch):
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family != getattr(socket, "AF_UNIX", None):
            host = str(address[0])
            assert host in ("localhost", "::1") or host.startswith("127."), f"a test connects to {host}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
