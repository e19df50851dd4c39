"""Who may look at the traces: over real sockets, and the decision by itself."""

from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.running_page import RunningPage
from viewer.page.access import Access, Asked, access_for

TOKEN = "a-token-that-is-given"


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A trace directory with one call, which asks `What is secret?`."""
    bundle = BundleBuilder(tmp_path / "trace-1")
    bundle.turn("t")
    bundle.start("call-1", "t", [message("user", "What is secret?")])
    bundle.complete("call-1")
    bundle.write()
    return tmp_path


def asked(**changes: str | None) -> Asked:
    """A request that a browser makes when somebody types the address, but for these."""
    values: dict[str, str | None] = {
        "host": "127.0.0.1:8788",
        "origin": None,
        "fetch_site": None,
        "fetch_mode": None,
    } | changes
    return Asked(
        method=values.pop("method", None) or "GET",
        **{name: values[name] for name in ("host", "origin", "fetch_site", "fetch_mode")},
    )


def status(access: Access, request: Asked) -> int:
    """The refusal's status; 200 for none."""
    refusal = access.refusal(request)
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8788", 200),
        ("127.0.0.1", 200),
        ("127.9.9.9:1", 200),
        ("localhost:8788", 200),
        ("LOCALHOST", 200),
        ("[::1]:8788", 200),
        ("evil.example", 403),
        ("evil.example:8788", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("192.0.2.1", 403),
        ("user@127.0.0.1", 403),
        ("127.0.0.1:8788@evil.example", 403),
        ("", 403),
        (None, 403),
    ],
)
def test_only_our_names_are_answered(host: str | None, expected: int) -> None:
    """A name that somebody pointed at 127.0.0.1 (DNS rebinding) is not ours."""
    assert status(access_for("127.0.0.1", None, ()), asked(host=host)) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("192.0.2.1:8788", 200), ("[2001:db8::1]", 200), ("traces.example", 200), ("a.example", 403)],
)
def test_beyond_loopback_addresses_and_added_names_are_ours(host: str, expected: int) -> None:
    """No name can be rebound to an address; names are ours where a setting says so."""
    access = access_for("0.0.0.0", TOKEN, ["Traces.Example"])
    assert status(access, asked(host=host)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"origin": "http://127.0.0.1:8788"}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": ""}, 403),
        ({"fetch_site": "same-origin", "fetch_mode": "cors"}, 200),
        ({"fetch_site": "none", "fetch_mode": "navigate"}, 200),
        ({"fetch_site": "cross-site", "fetch_mode": "navigate"}, 200),
        ({"fetch_site": "cross-site", "fetch_mode": "no-cors"}, 403),
        ({"fetch_site": "same-site", "fetch_mode": "no-cors"}, 403),
        ({"method": "HEAD"}, 200),
        ({"method": "POST"}, 405),
        ({"method": "OPTIONS"}, 405),
    ],
)
def test_other_sites_get_nothing(changes: dict[str, str], expected: int) -> None:
    """No page of another origin, which may be another port of this host, learns anything."""
    assert status(access_for("127.0.0.1", None, ()), asked(**changes)) == expected


def test_token_is_made_beyond_loopback_alone() -> None:
    """Where others can reach the page it has a token, another one each time."""
    made = {access_for("0.0.0.0", None, ()).token for _ in range(3)}
    assert len(made) == 3
    assert all(token is not None and len(token) >= 32 for token in made)
    assert access_for("::1", None, ()).token is None
    assert access_for("127.0.0.1", TOKEN, ()).token == TOKEN


@pytest.mark.parametrize("given", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "\udc80é"])
def test_nothing_but_the_token_admits(given: str | None) -> None:
    """Neither none, nor a part of it, nor one that is no text."""
    access = access_for("127.0.0.1", TOKEN, ())
    assert not access.admits(given)
    assert access.admits(TOKEN)
    assert not access_for("127.0.0.1", None, ()).admits(None)


def test_refused_requests_see_nothing(traces: Path) -> None:
    """Whoever is refused gets a page of ours that tells why, and nothing of the traces."""
    with RunningPage(traces) as page:
        for answer in (
            page.get("/", Host="evil.example"),
            page.get("/", Origin="https://evil.example"),
            page.get("/updates", Host="evil.example"),
            page.get("/static/tailrace.css", Host="evil.example"),
        ):
            assert answer.status == 403
            assert "secret" not in answer.text
            assert str(traces) not in answer.text
        assert page.get("/", method="POST").status == 405
        assert "What is secret?" in page.get("/").text


def test_token_goes_from_the_address_into_a_cookie(traces: Path) -> None:
    """The address that was printed opens the page, and does not stay in the address bar."""
    with RunningPage(traces, token=TOKEN) as page:
        refused = page.get("/")
        assert refused.status == 403
        assert "secret" not in refused.text
        assert str(traces) not in refused.text
        assert page.get("/updates").status == 403
        assert page.get("/static/tailrace.css").status == 200
        entered = page.get(f"/?status=completed&token={TOKEN}")
        assert (entered.status, entered.headers["Location"]) == (303, "/?status=completed")
        cookie, *attributes = entered.headers["Set-Cookie"].split("; ")
        assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/"}
        assert "What is secret?" in page.get("/", Cookie=cookie).text
        assert page.get("/", Cookie=cookie + "x").status == 403
        assert page.get("/?token=wrong", Cookie="").status == 403
        assert page.url.endswith(f"/?token={TOKEN}")


@pytest.mark.parametrize("path", ["//evil.example", "//evil.example/..", "/\\evil.example"])
def test_no_address_leads_elsewhere(traces: Path, path: str) -> None:
    """The way to the address without the token stays on this host."""
    with RunningPage(traces, token=TOKEN) as page:
        place = page.get(f"{path}?token={TOKEN}").headers.get("Location", "/")
        assert place.startswith("/")
        assert not place.startswith(("//", "/\\"))
