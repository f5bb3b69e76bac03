"""JSON over HTTP: reads are repeated, paid requests never, keys stay at home."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email.utils import format_datetime

import pytest
import requests
from emulators.server import Emulator, Fault, FileHost, Reply, Route, html_reply, json_reply
from fakes import FakeClock
from loopback import Authority, authority, over_tls, port
from luma_ray.nodes.generation import client as client_module
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.client import Client

KEY = "client-test-key-0123456789"


class Api(Emulator):
    """A thing to read and a job to buy."""

    prefix = "/v1"
    default_key = KEY

    def __init__(self, **options):
        super().__init__(**options)
        self.jobs = []

    def routes(self):
        return [
            Route("GET", ("/thing",), lambda request: json_reply({"query": request.query})),
            Route("POST", ("/jobs",), self._create),
        ]

    def _create(self, request):
        self.jobs.append(request.json)
        return json_reply({"id": f"job-{len(self.jobs)}"}, 201)

    @property
    def posts(self):
        return [request for request in self.requests if request.method == "POST"]


@pytest.fixture
def api():
    with Api() as emulator:
        yield emulator


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(scope="module")
def trusted(tmp_path_factory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


def client_for(base_url, clock=None, key=KEY, error_text=lambda reply: reply["detail"]) -> Client:
    return Client(
        "Luma", base_url, lambda: {"Authorization": f"Bearer {key}"}, clock or FakeClock(), error_text
    )


def nobody_listens() -> str:
    """An address on this machine where nothing answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def answering(reply: Reply, *, handled: bool = False) -> Fault:
    return Fault(lambda _: reply, handled)


@contextlib.contextmanager
def one_connection(serve):
    """A server that hands its first connection to *serve*; gives its address as http."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def accept() -> None:
            with listener.accept()[0] as connection:
                serve(connection)

        served = pool.submit(accept)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        served.result(10)


# -- reads --------------------------------------------------------------------------------------------------


def test_a_read_returns_the_json_and_sends_the_key(api, clock):
    assert client_for(api.base_url, clock).get("thing", {"limit": 3}) == {"query": {"limit": "3"}}
    assert api.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert clock.slept == []


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_read_is_repeated_after_an_error_that_passes(api, clock, code):
    api.fail_next("GET", "/thing", Fault.status(code), times=2)
    assert client_for(api.base_url, clock).get("thing") == {"query": {}}
    first, second = clock.slept
    assert 0.5 <= first <= 0.75
    assert 1.0 <= second <= 1.5


@pytest.mark.parametrize(
    "fault", [Fault.lost_request(), Fault.lost_answer(), Fault.truncate()], ids=["before", "after", "cut"]
)
def test_a_read_is_repeated_when_the_connection_breaks(api, clock, fault):
    api.fail_next("GET", "/thing", fault)
    assert client_for(api.base_url, clock).get("thing") == {"query": {}}
    assert len(clock.slept) == 1


def test_a_read_is_given_up_after_four_attempts(api, clock):
    api.fail_next("GET", "/thing", Fault.status(503), times=4)
    with pytest.raises(errors.ProviderUnavailable, match="Luma answered with error 503: Emulated error 503"):
        client_for(api.base_url, clock).get("thing")
    assert len(api.requests) == 4
    assert len(clock.slept) == 3


def test_an_error_can_be_raised_again_with_other_words(api, clock):
    # The host does so, to cut keys out of every text.
    api.fail_next("GET", "/thing", Fault.status(503), times=4)
    with pytest.raises(errors.ProviderUnavailable) as caught:
        client_for(api.base_url, clock).get("thing")
    assert str(type(caught.value)("other words")) == "other words"


def test_a_read_where_nobody_listens_says_so_without_the_query(clock):
    with pytest.raises(errors.ProviderUnavailable) as caught:
        client_for(nobody_listens(), clock).get("thing", {"signature": "very-secret-signature"})
    assert "the connection was refused" in str(caught.value)
    assert "very-secret-signature" not in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("code", [400, 404, 422])
def test_a_refused_read_is_not_repeated(api, clock, code):
    api.fail_next("GET", "/thing", Fault.status(code))
    with pytest.raises(errors.Rejected, match="Emulated error"):
        client_for(api.base_url, clock).get("thing")
    assert len(api.requests) == 1


def test_a_stopped_read_is_not_repeated(api, clock):
    api.fail_next("GET", "/thing", Fault.status(500))
    clock.stop.set()
    with pytest.raises(errors.ProviderUnavailable):
        client_for(api.base_url, clock).get("thing")
    assert clock.slept == []


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_in_seconds_is_obeyed(api, clock, code):
    api.fail_next("GET", "/thing", Fault.status(code, headers={"Retry-After": "17"}))
    client_for(api.base_url, clock).get("thing")
    assert clock.slept == [17.0]


def test_retry_after_as_a_date_is_obeyed(api, clock):
    date = format_datetime(datetime.fromtimestamp(clock.now() + 30, timezone.utc), usegmt=True)
    api.fail_next("GET", "/thing", Fault.rate_limit(date))
    client_for(api.base_url, clock).get("thing")
    assert clock.slept == [30.0]


def test_a_retry_after_of_minutes_is_left_to_the_caller(api, clock):
    api.fail_next("GET", "/thing", Fault.rate_limit(600))
    with pytest.raises(errors.RateLimited) as caught:
        client_for(api.base_url, clock).get("thing")
    assert caught.value.retry_after == 600
    assert clock.slept == []


@pytest.mark.parametrize("told", ["soon", "nan", "inf", "-5", ""])
def test_a_senseless_retry_after_changes_nothing(api, clock, told):
    api.fail_next("GET", "/thing", Fault.rate_limit(told))
    client_for(api.base_url, clock).get("thing")
    assert 0.5 <= clock.slept[0] <= 0.75


@pytest.mark.parametrize(
    "fault",
    [
        Fault.malformed_json(),
        Fault.html(200),
        answering(Reply(200, b"[" * 100_000, {"Content-Type": "application/json"})),
    ],
    ids=["cut JSON", "web page", "nested too deep"],
)
def test_a_read_without_json_is_an_unexpected_reply(api, clock, fault):
    api.fail_next("GET", "/thing", fault)
    with pytest.raises(errors.UnexpectedReply, match="not JSON"):
        client_for(api.base_url, clock).get("thing")


def test_an_answer_beyond_the_limit_is_not_read_to_its_end_nor_asked_for_again(api, clock, monkeypatch):
    monkeypatch.setattr(client_module, "MOST_BYTES", 1 << 20)
    api.fail_next("GET", "/thing", answering(json_reply({"padding": "x" * (1 << 21)})))
    with pytest.raises(errors.UnexpectedReply, match="more than 1 MiB"):
        client_for(api.base_url, clock).get("thing")
    assert len(api.requests) == 1


# -- creates ------------------------------------------------------------------------------------------------


def test_a_create_sends_its_body_once(api):
    assert client_for(api.base_url).create("jobs", {"prompt": "füchse"}) == {"id": "job-1"}
    assert api.jobs == [{"prompt": "füchse"}]


UNCERTAIN = {
    "dropped before anything was done": Fault.lost_request(),
    "dropped after it was done": Fault.lost_answer(),
    "answer cut off": Fault.truncate(),
    "JSON cut off": Fault.malformed_json(),
    "web page": Fault.html(200, handled=True),
    "gateway's web page": Fault.html(502, handled=True),
    "nested too deep": answering(Reply(201, b"[" * 100_000), handled=True),
    "see other": Fault.redirect(status=303),
    **{str(code): Fault.status(code, handled=True) for code in (408, 500, 502, 503, 504, 520)},
}


@pytest.mark.parametrize("fault", UNCERTAIN.values(), ids=UNCERTAIN)
def test_a_create_without_a_usable_answer_is_uncertain_and_sent_once(api, clock, fault):
    api.fail_next("POST", "/jobs", fault)
    with pytest.raises(errors.SubmissionUncertain, match="may have been created and billed"):
        client_for(api.base_url, clock).create("jobs", {})
    assert len(api.requests) == 1
    assert clock.slept == []


def test_a_create_whose_answer_is_too_large_is_uncertain(api, monkeypatch):
    monkeypatch.setattr(client_module, "MOST_BYTES", 1000)
    api.fail_next("POST", "/jobs", answering(json_reply({"padding": "x" * 5000}, 201), handled=True))
    with pytest.raises(errors.SubmissionUncertain):
        client_for(api.base_url).create("jobs", {})
    assert len(api.requests) == 1


def test_a_create_whose_answer_is_too_late_is_uncertain(api, monkeypatch):
    monkeypatch.setattr(client_module, "TIMEOUT", (1.0, 0.1))
    never = threading.Event()
    api.fail_next("POST", "/jobs", Fault.hold(never))
    with pytest.raises(errors.SubmissionUncertain, match="it took too long"):
        client_for(api.base_url).create("jobs", {})
    never.set()
    assert len(api.posts) == 1


REFUSED = {
    400: errors.Rejected,
    401: errors.Unauthorized,
    402: errors.InsufficientCredits,
    403: errors.Unauthorized,
    404: errors.Rejected,
    409: errors.Rejected,
    422: errors.Rejected,
    429: errors.RateLimited,
}


@pytest.mark.parametrize(("code", "kind"), REFUSED.items())
def test_a_refused_create_is_sent_once_and_says_that_nothing_was_billed(api, clock, code, kind):
    api.fail_next("POST", "/jobs", Fault.status(code))
    with pytest.raises(kind, match=r"Emulated error \d+.*Nothing was billed") as caught:
        client_for(api.base_url, clock).create("jobs", {})
    assert type(caught.value) is kind
    assert (len(api.requests), api.jobs, clock.slept) == (1, [], [])


def test_a_rate_limited_create_carries_the_time_to_wait(api):
    api.fail_next("POST", "/jobs", Fault.rate_limit(42))
    with pytest.raises(errors.RateLimited) as caught:
        client_for(api.base_url).create("jobs", {})
    assert caught.value.retry_after == 42


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirected_create_is_refused_and_not_followed(api, code):
    api.fail_next("POST", "/jobs", Fault.redirect(status=code))
    with pytest.raises(errors.Rejected, match="no longer serves its API"):
        client_for(api.base_url).create("jobs", {})
    assert [request.path for request in api.requests] == ["/jobs"]


@pytest.mark.parametrize("target", ["http://", "http://[", "\xff", "x" * 70_000])
def test_a_redirect_to_nonsense_is_a_redirect_all_the_same(api, target):
    page = html_reply(308)
    api.fail_next("POST", "/jobs", answering(Reply(308, page.body, {"Location": target[:60_000]})))
    with pytest.raises(errors.Rejected, match="308"):
        client_for(api.base_url).create("jobs", {})


def test_the_body_of_a_redirect_is_limited_too(api, monkeypatch):
    monkeypatch.setattr(client_module, "MOST_BYTES", 1000)
    api.fail_next("GET", "/thing", answering(Reply(302, b"x" * 5000, {"Location": "/dashboard"})))
    with pytest.raises(errors.UnexpectedReply, match="more than"):
        client_for(api.base_url).get("thing")


def test_a_create_that_finds_nobody_was_not_sent():
    with pytest.raises(errors.ProviderUnavailable, match=r"refused.*Nothing was sent or billed"):
        client_for(nobody_listens()).create("jobs", {})


def test_a_create_whose_name_does_not_resolve_was_not_sent(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(errors.ProviderUnavailable, match=r"its name could not be resolved.*Nothing was sent"):
        client_for("http://api.example.test/v1").create("jobs", {})


def test_a_dropped_create_is_uncertain_whatever_the_caller_was_handling(api):
    # The exception of the create then has the earlier failure as its context.
    api.fail_next("POST", "/jobs", Fault.lost_answer())
    try:
        requests.get(nobody_listens(), timeout=1)
    except requests.ConnectionError:
        with pytest.raises(errors.SubmissionUncertain):
            client_for(api.base_url).create("jobs", {})
    assert len(api.jobs) == 1


@pytest.mark.parametrize(
    "key",
    [
        "luma\nkey-0123456789",
        "luma\u2013key-0123456789",
        "\u201cluma-key-0123456789\u201d",
        "luma\x00key-012345",
    ],
)
def test_a_mistyped_key_is_refused_here_and_nothing_is_sent(api, key):
    with pytest.raises(errors.Unauthorized, match="Nothing was sent or billed") as caught:
        client_for(api.base_url, key=key).create("jobs", {})
    assert api.requests == []
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["api.lumalabs.ai", "localhost:9000", "ftp://127.0.0.1", "http://", "http://[::1", "http://127.0.0.1:x",
     "http://127.0.0.1:99999", f"http://{'x' * 64}.example.test"],
)  # fmt: skip
def test_an_address_that_is_no_url_is_refused_before_anything_is_bought(address):
    with pytest.raises(errors.ProviderUnavailable, match="not an http or https URL"):
        client_for(address)


# -- the key ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "create"])
@pytest.mark.parametrize("path", ["{thief}/steal", "//{bare}/steal", "https://127.0.0.1/steal"])
def test_the_key_is_never_sent_to_another_origin(api, method, path):
    with FileHost() as thief:
        path = path.format(thief=thief.origin, bare=thief.origin.removeprefix("http://"))
        arguments = [path] if method == "get" else [path, {}]
        with pytest.raises(errors.UnexpectedReply, match="its key is not sent there"):
            getattr(client_for(api.base_url), method)(*arguments)
        assert thief.requests == []
    assert api.requests == []


def test_a_redirect_to_another_host_is_not_followed(api):
    with FileHost() as thief:
        api.fail_next("GET", "/thing", Fault.redirect(f"{thief.origin}/steal"))
        with pytest.raises(errors.Rejected, match="redirect"):
            client_for(api.base_url).get("thing")
        assert thief.requests == []


def test_netrc_does_not_replace_the_key(api, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin somebody\npassword something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client_for(api.base_url).get("thing")
    assert api.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def test_cookies_are_not_kept_between_requests(api):
    cookie = {"Set-Cookie": "session=stolen; Path=/"}
    api.fail_next("GET", "/thing", answering(json_reply({}, headers=cookie)))
    client = client_for(api.base_url)
    client.get("thing")
    client.get("thing")
    assert "Cookie" not in api.requests[1].headers


def test_an_error_repeats_the_providers_words_without_keys_and_signatures(api):
    from luma_ray.nodes.generation.credentials import Secret

    Secret(KEY)
    words = f"cannot read https://bucket.test/a.png?X-Amz-Signature=abc123 with {KEY}\n"
    api.fail_next("POST", "/jobs", Fault.status(400, {"detail": words + "and more " * 200}))
    with pytest.raises(errors.Rejected) as caught:
        client_for(api.base_url).create("jobs", {})
    told = str(caught.value)
    assert "cannot read https://bucket.test/a.png?<cut> with <key> and more" in told
    assert "abc123" not in told
    assert KEY not in told
    assert len(told) < 500


@pytest.mark.parametrize("content", [{"other": 1}, ["list"], "text", None, {"detail": None}])
def test_an_error_without_the_providers_words_still_says_the_code(api, content):
    api.fail_next("POST", "/jobs", answering(json_reply(content, 400)))
    with pytest.raises(errors.Rejected, match=r"refused the request \(400\)"):
        client_for(api.base_url).create("jobs", {})


# -- proxies and certificates -------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used(api, monkeypatch):
    monkeypatch.setenv("http_proxy", api.origin)
    client = client_for("http://api.example.test/v1")
    assert client.create("jobs", {}) == {"id": "job-1"}
    assert api.requests[0].target == "http://api.example.test/v1/jobs"


def test_no_proxy_is_respected(api, monkeypatch):
    monkeypatch.setenv("http_proxy", nobody_listens())
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert client_for(api.base_url).create("jobs", {}) == {"id": "job-1"}


def test_a_create_that_the_proxy_does_not_let_through_was_not_sent(api, monkeypatch):
    monkeypatch.setenv("https_proxy", api.origin)  # which knows no CONNECT
    with pytest.raises(errors.ProviderUnavailable, match=r"the proxy did not connect.*Nothing was sent"):
        client_for("https://api.example.test/v1").create("jobs", {})


def test_a_create_whose_proxy_is_down_was_not_sent(monkeypatch):
    monkeypatch.setenv("http_proxy", nobody_listens())
    with pytest.raises(errors.ProviderUnavailable, match="Nothing was sent"):
        client_for("http://api.example.test/v1").create("jobs", {})


def test_a_create_dropped_behind_a_proxy_is_uncertain(api, monkeypatch):
    monkeypatch.setenv("http_proxy", api.origin)
    api.fail_next("POST", "/jobs", Fault.lost_answer())
    with pytest.raises(errors.SubmissionUncertain):
        client_for("http://api.example.test/v1").create("jobs", {})


def test_a_create_dropped_inside_a_proxys_tunnel_is_uncertain(monkeypatch, trusted):
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.bundle))

    def serve(connection: socket.socket) -> None:
        assert connection.recv(65536).startswith(b"CONNECT clips.example.test:443")
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with trusted.context.wrap_socket(connection, server_side=True) as secure:
            received.append(secure.recv(65536))

    received: list[bytes] = []
    with one_connection(serve) as origin:
        monkeypatch.setenv("https_proxy", origin)
        with pytest.raises(errors.SubmissionUncertain):
            client_for("https://clips.example.test/v1").create("jobs", {})
    assert received[0].startswith(b"POST /v1/jobs")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_certificate_authority_of_the_environment_is_trusted(monkeypatch, trusted, variable):
    monkeypatch.setenv(variable, str(trusted.bundle))
    with over_tls(Api(), trusted) as api:
        assert client_for(f"https://127.0.0.1:{port(api)}/v1").create("jobs", {}) == {"id": "job-1"}


def test_a_server_with_an_unknown_certificate_gets_neither_key_nor_request(trusted):
    with over_tls(Api(), trusted) as api:
        with pytest.raises(
            errors.ProviderUnavailable, match=r"certificate could not be verified.*Nothing was"
        ):
            client_for(f"https://127.0.0.1:{port(api)}/v1").create("jobs", {})
        assert api.requests == []


def test_a_certificate_bundle_that_is_not_there_is_named_and_nothing_is_sent(api, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    with pytest.raises(
        errors.ProviderUnavailable, match=r"SSL_CERT_FILE names .*gone\.pem.*Nothing was sent"
    ):
        client_for(api.base_url).create("jobs", {})
    assert api.requests == []


def test_plain_text_in_the_middle_of_tls_is_uncertain(monkeypatch, trusted):
    # What a meddling gateway does after the request went out; OpenSSL calls it a wrong version.
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.bundle))

    def serve(connection: socket.socket) -> None:
        with trusted.context.wrap_socket(connection, server_side=True) as secure:
            received.append(secure.recv(65536))
            os.write(secure.fileno(), b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            with contextlib.suppress(ssl.SSLError):
                secure.recv(1)

    received: list[bytes] = []
    with one_connection(serve) as origin, pytest.raises(errors.SubmissionUncertain):
        client_for(origin.replace("http:", "https:")).create("jobs", {})
    assert received[0].startswith(b"POST /jobs")
