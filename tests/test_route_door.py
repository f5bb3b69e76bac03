"""The pack's own page is served; other pages, names that were pointed here and other machines change nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from comfy_page import opened

KEY = "luma-canary-key-0123456789abcdef"


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """A page for those who are not let in: nothing of it changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUMA_RAY_COLLECT", "off")
        with opened(tmp_path_factory.mktemp("door")) as page:
            yield page


CHANGES = {
    "limits": {"per_day": "5000"},
    "keys": {"name": "LUMAAI_API_KEY", "value": KEY},
    "test_key": {"provider": "luma"},
    "collect": {},
    "not_created": {"id": "ray-1"},
    "found": {"id": "ray-1", "job": "x"},
    "library/remove": {"id": "ray-1"},
}


def nothing_changed(door):
    return door.studio.credentials.get("LUMAAI_API_KEY") is None and not door.studio.limits.path.exists()


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    ("shape", "headers", "status"),
    [
        (
            "a form of another page",
            {"X-Luma-Ray": "", "Content-Type": "text/plain", "Origin": "https://evil.test"},
            403,
        ),
        (
            "a form without an origin",
            {"X-Luma-Ray": "", "Content-Type": "application/x-www-form-urlencoded"},
            403,
        ),
        ("another origin with our header", {"Origin": "https://evil.test"}, 403),
        ("a page on another port here", {"Origin": "http://127.0.0.1:1"}, 403),
        ("a page in a sandbox", {"Origin": "null"}, 403),
        ("a name that was pointed here", {"Host": "evil.test", "Origin": "http://evil.test"}, 403),
        ("such a name with a port", {"Host": "evil.test:8188", "Origin": "http://evil.test:8188"}, 403),
        (
            "a name that begins like ours",
            {"Host": "localhost.evil.test", "Origin": "http://localhost.evil.test"},
            403,
        ),
        ("what the browser calls cross-site", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("what the browser calls same-site", {"Sec-Fetch-Site": "same-site"}, 403),
        ("text in place of JSON", {"Content-Type": "text/plain"}, 415),
        ("no content type", {"Content-Type": ""}, 415),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nobody_else_changes_anything(door, path, shape, headers, status):
    answer = door.post(path, CHANGES[path], **headers)
    assert (answer.status_code, shape) == (status, shape)
    assert nothing_changed(door)


READ = (
    *("keys", "limits", "unfinished", "library", "library/spent"),
    *(f"library/{part}?id=ray-1" for part in ("generation", "thumbnail", "clip")),
)


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize(
    "headers",
    [{"X-Luma-Ray": ""}, {"Host": "evil.test"}, {"Origin": "https://evil.test"}],
    ids=["plain", "name", "origin"],
)
def test_nobody_else_reads_anything(door, path, headers):
    assert door.get(path, **headers).status_code == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "comfy.localhost"])
def test_the_page_itself_is_served_under_each_of_its_names(door, name):
    host = f"{name}:{door.port}"
    assert door.get("limits", Host=host, Origin=f"http://{host}").status_code == 200


def test_a_name_that_the_owner_trusts_is_served(door, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_TRUSTED_HOSTS", "studio.lan, other.lan")
    assert door.get("limits", Host="studio.lan:8188", Origin="http://studio.lan:8188").status_code == 200
    assert door.get("limits", Host="third.lan:8188").status_code == 403


def asked(door, remote, method="POST", *, anywhere=False):
    headers = {"X-Luma-Ray": "1", "Host": "192.168.0.7:8188", "Origin": "http://192.168.0.7:8188"}
    request = SimpleNamespace(headers=headers, method=method, content_type="application/json", remote=remote)
    door.door.check(request, anywhere=anywhere)


@pytest.mark.parametrize(
    "remote", ["192.168.0.9", "8.8.8.8", "::ffff:192.168.0.9", "fe80::1%eth0", None, "unix"]
)
def test_another_machine_may_collect_and_decides_nothing_about_money_and_keys(door, remote, monkeypatch):
    asked(door, remote, "GET", anywhere=True)
    asked(door, remote, anywhere=True)
    for method in ("GET", "POST"):
        with pytest.raises(door.door.Refused, match="ComfyUI's own machine"):
            asked(door, remote, method)
    monkeypatch.setenv("LUMA_RAY_REMOTE_SETTINGS", "1")
    asked(door, remote)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_what_a_proxy_passed_on_is_not_taken_for_this_machine(door, name):
    assert door.get("limits", **{name: "203.0.113.7"}).status_code == 200
    assert door.post("limits", CHANGES["limits"], **{name: "203.0.113.7"}).status_code == 403
    assert nothing_changed(door)


@pytest.mark.parametrize("remote", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_change(door, remote):
    asked(door, remote)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"[" * 9000, 400),
        (b"{" + b" " * 30_000 + b"}", 413),
        (b"\xff", 400),
    ],
    ids=["empty", "half", "a list", "deep", "long", "no text"],
)
def test_what_is_no_json_object_is_refused(door, body, status):
    assert door.post("limits", body).status_code == status
    assert nothing_changed(door)
