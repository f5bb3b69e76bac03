"""A finished clip comes here whole or not at all, without credentials, from public addresses only."""

from __future__ import annotations

import errno
import io
import socket
from pathlib import Path

import pytest
from emulators.server import Fault, FileHost, Reply, html_reply
from fakes import FakeClock
from loopback import Authority, authority, over_tls, port
from luma_ray.nodes.generation import connection, errors
from luma_ray.nodes.generation import download as module
from luma_ray.nodes.generation.connection import ALLOWED_HOSTS
from luma_ray.nodes.generation.download import download
from luma_ray.nodes.generation.library import Library

CLIP = bytes(range(256)) * 1000
PUBLIC_NAME = "clips.example.test"


@pytest.fixture(scope="module")
def trusted(tmp_path_factory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def host(monkeypatch):
    """A host of clips that the machine's owner trusts."""
    with FileHost() as files:
        files.put("clip.mp4", CLIP, "video/mp4")
        monkeypatch.setenv(ALLOWED_HOSTS, f"other.test:1, {files.origin.removeprefix('http://')}")
        yield files


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def names(monkeypatch):
    """Give host names an address, as a name server would."""
    known = {}
    look_up = socket.getaddrinfo

    def getaddrinfo(name, port, *others, **more):
        return look_up(known.get(name, name), port, *others, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@pytest.fixture
def public(monkeypatch):
    """Let addresses of this machine pass for public ones."""
    monkeypatch.setattr(connection, "public", lambda address: True)


def fetch(url, path, clock=None, progress=lambda fraction: None) -> Path:
    download(url, path, clock=clock or FakeClock(), progress=progress)
    return path


def broken_off(url, path, clock=None) -> str:
    with pytest.raises(errors.DownloadFailed) as caught:
        fetch(url, path, clock)
    return str(caught.value)


# -- what arrives -------------------------------------------------------------------------------------------


def test_a_clip_arrives_whole_and_tells_how_far_it_is(host, tmp_path):
    parts = []
    path = fetch(f"{host.origin}/clip.mp4", tmp_path / "a.mp4", progress=parts.append)
    assert path.read_bytes() == CLIP
    assert parts == sorted(parts)
    assert len(parts) > 2
    assert parts[-1] == 1.0


def test_a_second_download_starts_from_the_beginning(host, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x" * 500_000)
    assert fetch(f"{host.origin}/clip.mp4", path).read_bytes() == CLIP


def test_neither_key_nor_netrc_is_sent_along(host, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin somebody\npassword something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("LUMAAI_API_KEY", "luma-test-key-1234567890")
    fetch(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")
    (request,) = host.requests
    assert not {"Authorization", "Cookie", "Referer"} & set(request.headers)
    assert "luma-test-key-1234567890" not in str(request)


def test_a_name_and_password_in_the_address_are_not_sent(trusted, tmp_path, monkeypatch, names, public):
    names[PUBLIC_NAME] = "127.0.0.1"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.bundle))
    with over_tls(FileHost(), trusted) as files:
        files.put("clip.mp4", CLIP, "video/mp4")
        fetch(f"https://me:secret@{PUBLIC_NAME}:{port(files)}/clip.mp4", tmp_path / "a.mp4")
        assert "Authorization" not in files.requests[0].headers


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_clip_that_is_cut_off_is_no_clip(host, tmp_path, share):
    host.fail_next("GET", "/clip.mp4", Fault.truncate(share))
    assert "127.0.0.1 broke off" in broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")


def test_a_length_that_is_not_kept_is_noticed_here_too(host, tmp_path, monkeypatch):
    # urllib3 1 and some proxies let a short answer pass for a whole one.
    monkeypatch.setattr(module, "_content_length", lambda response: len(CLIP) + 1)
    told = broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")
    assert told == f"The download ended after {len(CLIP)} of {len(CLIP) + 1} bytes."


def test_an_empty_file_is_no_clip(host, tmp_path):
    host.put("empty.mp4", b"", "video/mp4")
    assert "ended after 0 of" in broken_off(f"{host.origin}/empty.mp4", tmp_path / "a.mp4")


def test_a_web_page_is_no_clip(host, tmp_path):
    host.fail_next("GET", "/clip.mp4", Fault.html(200))
    told = broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")
    assert told == "127.0.0.1 answered with a web page instead of the clip."


@pytest.mark.parametrize("code", [206, 403, 404, 500, 503])
def test_an_error_says_its_code_and_not_the_signed_address(host, tmp_path, code):
    host.fail_next("GET", "/clip.mp4", Fault.status(code))
    told = broken_off(f"{host.origin}/clip.mp4?X-Signature=very-secret", tmp_path / "a.mp4")
    assert told == f"127.0.0.1 answered {code} instead of the clip."


def test_a_clip_beyond_the_size_limit_is_not_taken(host, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    assert "larger than" in broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").stat().st_size < 200_000


def test_a_download_that_takes_too_long_is_ended(host, tmp_path, clock):
    class Slow(FakeClock):
        def now(self) -> float:
            self._now += 500
            return self._now

    assert "longer than 20 minutes" in broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4", Slow())


def test_the_stop_sign_ends_a_download_in_the_middle(host, tmp_path, clock):
    def progress(fraction: float) -> None:
        clock.stop.set()

    with pytest.raises(errors.Interrupted):
        fetch(f"{host.origin}/clip.mp4", tmp_path / "a.mp4", clock, progress)
    assert 0 < (tmp_path / "a.mp4").stat().st_size < len(CLIP)


def test_the_connection_breaking_is_told_without_the_signed_address(host, tmp_path):
    host.fail_next("GET", "/clip.mp4", Fault.lost_request())
    told = broken_off(f"{host.origin}/clip.mp4?X-Signature=very-secret", tmp_path / "a.mp4")
    assert "127.0.0.1 broke off" in told
    assert "very-secret" not in told


class FullDisk(io.BytesIO):
    """A file on a disk without room."""

    def write(self, data) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_sentence_with_the_room_that_is_left(host, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "open", lambda self, mode: FullDisk())
    told = broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")
    assert told.startswith("The clip could not be written (No space left on device; ")
    assert told.endswith(" GB free).")


def test_a_folder_that_is_gone_is_a_sentence(host, tmp_path):
    assert "could not be written" in broken_off(f"{host.origin}/clip.mp4", tmp_path / "gone" / "a.mp4")


def test_what_is_left_of_a_failed_download_is_removed_by_the_library(host, tmp_path):
    host.fail_next("GET", "/clip.mp4", Fault.truncate())
    with pytest.raises(errors.DownloadFailed), Library(tmp_path).arriving("a.mp4") as arriving:
        fetch(f"{host.origin}/clip.mp4", arriving)
    assert list(tmp_path.iterdir()) == []


# -- where from ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://clips.example.test/a.mp4",
        "http://127.0.0.1:9/a.mp4",
        "ftp://clips.example.test/a.mp4",
        "file:///etc/passwd",
        "data:video/mp4;base64,AAAA",
        "//clips.example.test/a.mp4",
        "https://",
        "a.mp4",
        "",
    ],
)
def test_only_https_is_fetched(url, tmp_path):
    assert "is not https; not fetched" in broken_off(url, tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize("url", ["https://[::1", "https://host:port/a.mp4", f"https://{'x' * 64}.test/a.mp4"])
def test_an_address_that_is_nonsense_is_a_failed_download(url, tmp_path):
    assert "broke off" in broken_off(url, tmp_path / "a.mp4")


@pytest.mark.parametrize("trust", ["", "127.0.0.1", "127.0.0.1:{port}0", "user@127.0.0.1:{port}"])
def test_http_is_for_the_hosts_that_are_trusted_by_name_and_port(host, tmp_path, monkeypatch, trust):
    monkeypatch.setenv(ALLOWED_HOSTS, trust.format(port=port(host)))
    assert "can trust a host with LUMA_RAY_ALLOWED_HOSTS" in broken_off(
        f"{host.origin}/clip.mp4", tmp_path / "a.mp4"
    )
    assert host.requests == []


def test_a_public_address_over_https_is_fetched(trusted, tmp_path, monkeypatch, names, public):
    names[PUBLIC_NAME] = "127.0.0.1"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.bundle))
    with over_tls(FileHost(), trusted) as files:
        files.put("clip.mp4", CLIP, "video/mp4")
        path = fetch(f"https://{PUBLIC_NAME}:{port(files)}/clip.mp4", tmp_path / "a.mp4")
    assert path.read_bytes() == CLIP


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", PUBLIC_NAME])
def test_a_private_address_is_refused_before_a_byte_is_sent(trusted, tmp_path, monkeypatch, names, name):
    names[PUBLIC_NAME] = "127.0.0.1"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.bundle))
    with over_tls(FileHost(), trusted) as files:
        files.put("clip.mp4", CLIP, "video/mp4")
        told = broken_off(f"https://{name}:{port(files)}/clip.mp4", tmp_path / "a.mp4")
        assert "not on the public internet" in told
        assert files.requests == []


def test_a_name_that_answers_differently_the_second_time_gains_nothing(trusted, tmp_path, monkeypatch):
    # What is looked at is the address that was really reached, not an answer of the name server.
    answers, look_up = iter(["8.8.8.8", *["127.0.0.1"] * 9]), socket.getaddrinfo
    with over_tls(FileHost(), trusted) as files:
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda name, *others, **more: look_up(next(answers), *others, **more)
        )
        socket.getaddrinfo(PUBLIC_NAME, 443)
        told = broken_off(f"https://{PUBLIC_NAME}:{port(files)}/clip.mp4", tmp_path / "a.mp4")
        assert "not on the public internet" in told


@pytest.mark.parametrize(
    "location",
    ["https://127.0.0.1:{port}/clip.mp4", f"https://{PUBLIC_NAME}:{{port}}/clip.mp4"],
    ids=["address", "name"],
)
def test_a_redirect_to_a_private_address_is_refused(host, trusted, tmp_path, names, location):
    names[PUBLIC_NAME] = "127.0.0.1"
    with over_tls(FileHost(), trusted) as inside:
        host.fail_next("GET", "/clip.mp4", Fault.redirect(location.format(port=port(inside)), 302))
        told = broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")
        assert "not on the public internet" in told
        assert inside.requests == []


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:9/clip.mp4", "file:///etc/passwd", "ftp://x.test/a", "//x.test/a"]
)
def test_a_redirect_away_from_https_is_refused(host, tmp_path, location):
    host.fail_next("GET", "/clip.mp4", Fault.redirect(location, 307))
    assert "is not https" in broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")


@pytest.mark.parametrize("location", ["http://[", "https://\xff/", "https://:1"])
def test_a_redirect_to_nonsense_is_a_failed_download(host, tmp_path, location):
    host.fail_next("GET", "/clip.mp4", Fault.redirect(location, 302))
    assert broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")


def test_a_redirect_within_what_is_trusted_is_followed(host, tmp_path):
    host.fail_next("GET", "/{name}", Fault.redirect("/clip.mp4", 302))
    assert fetch(f"{host.origin}/old.mp4", tmp_path / "a.mp4").read_bytes() == CLIP
    assert [request.path for request in host.requests] == ["/old.mp4", "/clip.mp4"]


def test_redirects_without_end_are_given_up(host, tmp_path):
    host.fail_next("GET", "/{name}", Fault.redirect("/clip.mp4", 302), times=4)
    assert "redirects too often" in broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")


def test_the_body_of_a_redirect_is_not_read(host, tmp_path, monkeypatch):
    # requests reads it all, however large, unless it is kept from it.
    page = Fault(lambda _: Reply(302, html_reply().body, {"Location": "/clip.mp4"}, sent=3), handled=False)
    host.fail_next("GET", "/{name}", page)
    assert fetch(f"{host.origin}/old.mp4", tmp_path / "a.mp4").read_bytes() == CLIP


def test_a_trusted_host_may_speak_https_at_a_private_address(trusted, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.bundle))
    with over_tls(FileHost(), trusted) as files:
        files.put("clip.mp4", CLIP, "video/mp4")
        monkeypatch.setenv(ALLOWED_HOSTS, f"127.0.0.1:{port(files)}")
        path = fetch(f"https://127.0.0.1:{port(files)}/clip.mp4", tmp_path / "a.mp4")
    assert path.read_bytes() == CLIP


def test_a_host_whose_name_only_begins_like_a_trusted_one_is_not_trusted(trusted, tmp_path, monkeypatch):
    with over_tls(FileHost(), trusted) as files:
        monkeypatch.setenv(ALLOWED_HOSTS, f"127.0.0.1:{str(port(files))[:-1]}")
        told = broken_off(f"https://127.0.0.1:{port(files)}/clip.mp4", tmp_path / "a.mp4")
    assert "not on the public internet" in told


def test_a_server_with_an_unknown_certificate_is_refused(trusted, tmp_path, names, public):
    names[PUBLIC_NAME] = "127.0.0.1"
    with over_tls(FileHost(), trusted) as files:
        told = broken_off(f"https://{PUBLIC_NAME}:{port(files)}/clip.mp4", tmp_path / "a.mp4")
    assert told == f"The download from {PUBLIC_NAME} broke off (SSLError)."


def test_a_certificate_bundle_that_is_not_there_is_named(host, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert "SSL_CERT_FILE names" in broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::808:808", True),
        ("2002:c0a8:101::", False),
    ],
)
def test_which_addresses_are_public(address, public):
    assert connection.public(address) is public
