"""A finished clip comes here whole or not at all, without credentials, from public addresses only."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import logging
import socket
import threading
import traceback
from collections.abc import Callable
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


@pytest.fixture
def raw(monkeypatch):
    """Call it with what a server that speaks no proper HTTP does on each of its connections; gives a trusted URL."""
    monkeypatch.setattr(connection, "_LOOK", 0.02)
    opened, threads = [], []

    def serving(speak: Callable[[socket.socket], None], *, scheme: str = "http") -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        opened.append(listening)

        def serve() -> None:
            while True:
                try:
                    line, _ = listening.accept()
                except OSError:
                    return
                opened.append(line)
                with line:
                    try:
                        if scheme == "http":
                            line.recv(65536)
                        speak(line)
                    except OSError:
                        pass  # whoever listened has gone

        threads.append(threading.Thread(target=serve, name="raw server"))
        threads[-1].start()
        netloc = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv(ALLOWED_HOSTS, netloc)
        return f"{scheme}://{netloc}/clip.mp4"

    yield serving
    for one in opened:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


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
    told = broken_off(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")
    # urllib3 1 lets a short answer pass for a whole one.
    assert "127.0.0.1 broke off" in told or f"of {len(CLIP)} bytes" in told


def test_a_length_that_is_not_kept_is_noticed_here_too(host, tmp_path, monkeypatch):
    # Some proxies let a short answer pass for a whole one.
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
    assert not (tmp_path / "a.mp4").exists()  # its length was told, so not a byte of it was taken


def test_a_clip_that_does_not_tell_its_length_is_ended_at_the_size_limit(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    url = raw(lambda line: line.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + CLIP))
    assert "larger than" in broken_off(url, tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").stat().st_size < 200_000


def test_a_download_that_takes_too_long_is_ended(host, tmp_path, clock):
    class Slow(FakeClock):
        def elapsed(self) -> float:
            self._now += 500
            return super().elapsed()

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


# -- servers that mean no good ----------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n"
ENDLESS = {
    "a body byte by byte": (HEAD + b"Content-Length: 1000000\r\n\r\n", b"\0"),
    "chunks byte by byte": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n\0\r\n"),
    "a chunk whose length does not end": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "headers without end": (HEAD, b"X"),
    "a first line without end": (b"HTTP/1.1 200 ", b"O"),
    "to be continued, again and again": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "silence": (b"", b""),
}


def dripping(line: socket.socket, first: bytes, again: bytes, then: Callable[[], None]) -> None:
    """Send a little now and then until nobody listens; *then* is called when it is under way."""
    line.sendall(first + again)
    then()
    line.settimeout(0.005)
    for _ in range(5000):
        try:
            if line.recv(1) == b"":
                return
        except TimeoutError:
            line.sendall(again)
    raise AssertionError("it was listened to for 25 seconds")


@pytest.mark.parametrize(("first", "again"), ENDLESS.values(), ids=ENDLESS)
def test_a_server_that_never_comes_to_an_end_is_left_when_the_time_is_over(
    raw, tmp_path, clock, first, again
):
    url = raw(lambda line: dripping(line, first, again, lambda: clock.sleep(module.LONGEST + 1)))
    assert broken_off(url, tmp_path / "a.mp4", clock) == "The download took longer than 20 minutes."


@pytest.mark.parametrize(("first", "again"), ENDLESS.values(), ids=ENDLESS)
def test_a_server_that_never_comes_to_an_end_is_left_at_the_stop_sign(raw, tmp_path, clock, first, again):
    url = raw(lambda line: dripping(line, first, again, clock.stop.set))
    with pytest.raises(errors.Interrupted):
        fetch(url, tmp_path / "a.mp4", clock)


def test_a_server_that_never_ends_shaking_hands_is_left_too(raw, tmp_path, clock):
    url = raw(lambda line: dripping(line, b"", b"", clock.stop.set), scheme="https")
    with pytest.raises(errors.Interrupted):
        fetch(url, tmp_path / "a.mp4", clock)


def test_nothing_of_a_watch_is_left_behind(raw, host, tmp_path):
    fetch(f"{host.origin}/clip.mp4", tmp_path / "a.mp4")
    assert [thread for thread in threading.enumerate() if thread.name == "ray-watch"] == []


def test_a_connection_outside_of_a_watch_is_not_broken(host, tmp_path):
    with connection.watched(lambda: True):
        pass
    assert fetch(f"{host.origin}/clip.mp4", tmp_path / "a.mp4").read_bytes() == CLIP


@pytest.mark.parametrize(
    "coding", ["gzip", "x-gzip", "deflate", "br", "zstd", "identity, GZIP", "gzip, gzip, gzip"]
)
def test_what_is_packed_is_not_unpacked(raw, tmp_path, coding):
    bomb = gzip.compress(bytes(10_000_000))
    head = HEAD + f"Content-Encoding: {coding}\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    told = broken_off(raw(lambda line: line.sendall(head + bomb)), tmp_path / "a.mp4")
    assert told == "127.0.0.1 answered with something packed instead of the clip."
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize("coding", ["identity", "aws-chunked", ""])
def test_a_name_for_what_is_not_packed_at_all_changes_nothing(raw, tmp_path, coding):
    # S3 keeps "aws-chunked" for files that were put there in signed chunks.
    head = HEAD + f"Content-Encoding: {coding}\r\nContent-Length: {len(CLIP)}\r\n\r\n".encode()
    path = fetch(raw(lambda line: line.sendall(head + CLIP)), tmp_path / "a.mp4")
    assert path.read_bytes() == CLIP


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error": "expired"}', "a message"),
        (b'[{"error": 1}]', "a message"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page"),
        (b"\xef\xbb\xbf \r\n<html>", "a web page"),
        (b"#EXTM3U\n#EXTINF:2,\n/etc/passwd\n", "a playlist"),
    ],
)
def test_text_is_no_clip_whatever_it_is_called(host, tmp_path, body, kind):
    host.put("a.mp4", body + b" " * 3_000_000, "video/mp4")
    told = broken_off(f"{host.origin}/a.mp4", tmp_path / "a.mp4")
    assert told == f"127.0.0.1 answered with {kind} instead of the clip."
    assert (tmp_path / "a.mp4").stat().st_size == 0


@pytest.mark.parametrize("length", ["-5", "1_000", "0x10", "٣", "1e3", "9" * 5000, "7, 7", "+7"])
def test_a_length_that_is_no_number_is_not_believed(raw, tmp_path, length):
    head = HEAD + f"Content-Length: {length}\r\nConnection: close\r\n\r\n".encode()
    told = broken_off(raw(lambda line: line.sendall(head + CLIP)), tmp_path / "a.mp4")
    assert told == "127.0.0.1 answered with a length that is no number instead of the clip."


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0" * 100,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\0\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffff\r\n\0",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000 + b"\r\n",
    ],
    ids=range(11),
)
def test_an_answer_that_is_no_answer_is_a_failed_download(raw, tmp_path, answer):
    assert broken_off(raw(lambda line: line.sendall(answer)), tmp_path / "a.mp4")


def test_an_address_that_is_no_text_is_a_failed_download(tmp_path):
    for url in (None, 5, ["https://a.test/b.mp4"], {"url": "https://a.test/b.mp4"}, b"https://a.test/b.mp4"):
        assert "holds no address" in broken_off(url, tmp_path / "a.mp4")


def test_a_proxy_is_watched_like_the_server_itself(raw, tmp_path, monkeypatch, clock):
    url = raw(lambda line: dripping(line, HEAD + b"Content-Length: 1000000\r\n\r\n", b"\0", clock.stop.set))
    monkeypatch.setenv("HTTP_PROXY", url.removesuffix("/clip.mp4"))
    monkeypatch.setenv(ALLOWED_HOSTS, "clips.example.test:80")
    with pytest.raises(errors.Interrupted):
        fetch("http://clips.example.test:80/clip.mp4", tmp_path / "a.mp4", clock)


# -- a key that goes along, and what libraries say about it --------------------------------------------------------

KEY = {"Authorization": "Bearer canary-0123456789abcdef"}


def test_a_key_goes_to_the_origin_of_the_clip_and_no_further(host, tmp_path, monkeypatch):
    with FileHost() as other:
        other.put("clip.mp4", CLIP, "video/mp4")
        monkeypatch.setenv(ALLOWED_HOSTS, other.origin.removeprefix("http://"))
        host.fail_next("GET", "/{name}", Fault.redirect(f"{other.origin}/clip.mp4", 302))
        download(
            f"{host.origin}/clip.mp4",
            tmp_path / "a.mp4",
            clock=FakeClock(),
            progress=lambda part: None,
            signature=KEY,
        )
        assert host.requests[0].headers["Authorization"] == KEY["Authorization"]
        assert "Authorization" not in other.requests[0].headers
        assert "canary" not in str(other.requests)


def test_a_key_comes_back_to_its_origin_after_a_detour(host, tmp_path, monkeypatch):
    with FileHost() as other:
        netlocs = [origin.removeprefix("http://") for origin in (host.origin, other.origin)]
        monkeypatch.setenv(ALLOWED_HOSTS, ",".join(netlocs))
        host.fail_next("GET", "/{name}", Fault.redirect(f"{other.origin}/x", 302))
        other.fail_next("GET", "/{name}", Fault.redirect(f"{host.origin}/clip.mp4", 302))
        download(
            f"{host.origin}/a",
            tmp_path / "a.mp4",
            clock=FakeClock(),
            progress=lambda part: None,
            signature=KEY,
        )
        assert ["Authorization" in request.headers for request in host.requests] == [True, True]
        assert "Authorization" not in other.requests[0].headers


@pytest.mark.parametrize("code", [401, 200])
def test_a_traceback_with_local_variables_shows_no_key(host, tmp_path, code):
    host.fail_next("GET", "/clip.mp4", Fault.html(code))
    try:
        download(
            f"{host.origin}/clip.mp4",
            tmp_path / "a.mp4",
            clock=FakeClock(),
            progress=lambda part: None,
            signature=module._Headers(KEY),
        )
    except errors.DownloadFailed as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "_follow" in shown
    assert "canary" not in shown


def test_libraries_that_log_everything_log_neither_keys_nor_signatures(host, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    host.fail_next("GET", "/clip.mp4", Fault.lost_request())
    broken_off(f"{host.origin}/clip.mp4?X-Amz-Signature=canary-0123456789abcdef", tmp_path / "a.mp4")
    fetch(f"{host.origin}/clip.mp4?X-Amz-Signature=canary-0123456789abcdef", tmp_path / "a.mp4")
    assert "GET /clip.mp4?<cut>" in caplog.text
    assert "canary" not in caplog.text


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
    "name",
    [
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "localhost.",
        "LOCALHOST",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
    ],
)
def test_this_machine_is_not_reached_by_any_other_spelling(raw, tmp_path, monkeypatch, name):
    reached = []
    url = raw(reached.append, scheme="https")
    monkeypatch.delenv(ALLOWED_HOSTS)
    port_number = url.split(":")[2].split("/")[0]
    told = broken_off(f"https://{name}:{port_number}/clip.mp4", tmp_path / "a.mp4")
    assert "not on the public internet" in told or "broke off" in told
    assert reached == []  # not even a connection


def answering(monkeypatch, *answers: str) -> list[str]:
    """A name server that has these addresses for the name; gives the list of what was connected to."""
    look_up, create = socket.getaddrinfo, connection.urllib3.util.connection.create_connection
    reached = []

    def getaddrinfo(name, port, *others, **more):
        if name != PUBLIC_NAME:
            return look_up(name, port, *others, **more)
        return [entry for answer in answers for entry in look_up(answer, port, *others, **more)]

    def connected(address, *others, **more):
        reached.append(address[0])
        return create(("127.0.0.1", address[1]), *others, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(connection.urllib3.util.connection, "create_connection", connected)
    return reached


def test_of_several_addresses_only_the_public_ones_are_tried(tmp_path, monkeypatch):
    reached = answering(monkeypatch, "10.0.0.1", "169.254.169.254", "::1", "8.8.8.8")
    told = broken_off(f"https://{PUBLIC_NAME}:9/clip.mp4", tmp_path / "a.mp4")
    assert reached == ["8.8.8.8"]
    assert "broke off" in told


def test_a_name_with_private_addresses_alone_is_not_connected_to(tmp_path, monkeypatch):
    reached = answering(monkeypatch, "10.0.0.1", "192.168.1.1", "fd00::1")
    assert "not on the public internet" in broken_off(f"https://{PUBLIC_NAME}/clip.mp4", tmp_path / "a.mp4")
    assert reached == []


def test_a_connection_that_ends_somewhere_private_after_all_is_closed(trusted, tmp_path, monkeypatch):
    # The name server says one thing, and the connection arrives elsewhere.
    with over_tls(FileHost(), trusted) as files:
        files.put("clip.mp4", CLIP, "video/mp4")
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted.bundle))
        reached = answering(monkeypatch, "8.8.8.8")
        told = broken_off(f"https://{PUBLIC_NAME}:{port(files)}/clip.mp4", tmp_path / "a.mp4")
        assert reached == ["8.8.8.8"]
        assert "not on the public internet" in told
        assert files.requests == []


def test_the_next_public_address_is_tried_where_one_does_not_answer(trusted, tmp_path, monkeypatch, public):
    with over_tls(FileHost(), trusted) as files:
        files.put("clip.mp4", CLIP, "video/mp4")
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted.bundle))
        reached = answering(monkeypatch, "127.0.0.9", "127.0.0.8", "127.0.0.7")
        create = connection.urllib3.util.connection.create_connection

        def refusing(address, *others, **more):
            if address[0] != "127.0.0.7":
                reached.append(address[0])
                raise ConnectionRefusedError
            return create(address, *others, **more)

        monkeypatch.setattr(connection.urllib3.util.connection, "create_connection", refusing)
        path = fetch(f"https://{PUBLIC_NAME}:{port(files)}/clip.mp4", tmp_path / "a.mp4")
        assert reached == ["127.0.0.9", "127.0.0.8", "127.0.0.7"]
        assert path.read_bytes() == CLIP


def test_this_machines_own_public_address_is_private():
    class Ends:
        closed = False

        def getpeername(self):
            return ("8.8.8.8", 443)

        getsockname = getpeername

        def close(self):
            self.closed = True

    line = Ends()
    with pytest.raises(connection.NotPublic):
        connection._PublicConnection("a.test")._checked(line)
    assert line.closed


def test_a_public_session_speaks_http_with_the_hosts_that_are_trusted_alone(monkeypatch):
    monkeypatch.setenv(ALLOWED_HOSTS, "127.0.0.1:5, box.lan:8080")
    session = connection.public_session()
    assert sorted(session.adapters) == [
        "http://127.0.0.1:5/",
        "http://box.lan:8080/",
        "https://",
        "https://127.0.0.1:5/",
        "https://box.lan:8080/",
    ]
    with pytest.raises(connection.requests.exceptions.InvalidSchema):
        session.get("http://box.lan:80/")


@pytest.mark.parametrize(
    "url",
    [
        "http://{trusted}@{other}/a",
        "http://{trusted}\\@{other}/a",
        "http://{other}\\@{trusted}/a",
        "http://{trusted}#@{other}/a",
        "http://{trusted}%2f@{other}/a",
        "http://{trusted}%00@{other}/a",
        "http://{trusted};@{other}/a",
        "http:///{trusted}@{other}/a",
        "http:{trusted}@{other}/a",
        " http://{other}/{trusted}",
        "http://{other}?@{trusted}/",
        "http://{trusted}\t@{other}/",
    ],
)
def test_tricks_with_the_name_of_a_trusted_host_reach_nobody_else(host, tmp_path, url):
    with FileHost() as other:
        netlocs = [files.origin.removeprefix("http://") for files in (host, other)]
        assert broken_off(url.format(trusted=netlocs[0], other=netlocs[1]), tmp_path / "a.mp4")
        assert other.requests == []


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
        ("2002:808:808::1", True),
        ("2002:7f00:1::", False),
        ("64:ff9b:1::a00:1", False),
        ("64:ff9b:1::808:808", False),
        ("::ffff:0:7f00:1", False),
        ("::ffff:0:808:808", False),
        ("::808:808", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("2001:4860:4860::5efe:a00:1", False),
        ("2001:4860:4860::200:5efe:808:808", True),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("100::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("4000::1", False),
        ("ff0e::1", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("192.0.0.9", False),
        ("192.0.2.1", False),
        ("192.88.99.1", False),
        ("198.18.0.1", False),
        ("203.0.113.7", False),
        ("240.0.0.1", False),
        ("239.255.255.250", False),
        ("1.1.1.1", True),
        ("172.32.0.1", True),
        ("2a00:1450:4001::1", True),
    ],
)
def test_which_addresses_are_public(address, public):
    assert connection.public(address) is public
