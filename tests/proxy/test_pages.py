"""The proxy's own pages, under /-/: they are answered here and need no upstream."""

import asyncio
from collections.abc import Mapping

import pytest
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from proxy import exchange_log
from proxy.app import App
from proxy.metrics import Metrics
from proxy.upstream import Upstream, UpstreamSettings
from tests.support.differential import call
from tests.support.raw_http import Exchange, RawConnection, exchange, request_bytes
from tests.support.running_proxy import RunningProxy
from tests.support.script import Close, Gate, Reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.stalled_client import wait_until_read
from tracing.interface import NullRecorder


def get(port: int, path: str, *, host: str = "127.0.0.1", method: str = "GET") -> Exchange:
    """A page's answer."""
    return exchange(port, request_bytes(method, f"http://{host}{path}"))


@pytest.mark.parametrize(
    ("path", "body"),
    [("/-/healthz", b"ok\n"), ("/-/readyz", b"ready\n"), ("/-/healthz?verbose", b"ok\n")],
)
def test_health_pages_say_that_all_is_well(proxy: RunningProxy, path: str, body: bytes) -> None:
    """200 and a line of text, for HEAD too."""
    answer = get(proxy.port, path)
    assert (answer.head.status, answer.body) == (200, body)
    assert answer.head.values("content-type") == [b"text/plain; charset=utf-8"]
    head = get(proxy.port, path, method="HEAD")
    assert (head.head.status, head.body) == (200, b"")


@pytest.mark.parametrize("path", ["/-/healthz", "/-/readyz"])
@pytest.mark.parametrize("host", ["10.1.2.3:8787", "some-pod.example", "evil.example"])
def test_health_pages_answer_to_any_host(proxy: RunningProxy, path: str, host: str) -> None:
    """Probes use a pod's address; the pages say nothing worth rebinding a name for."""
    assert get(proxy.port, path, host=host).head.status == 200


@pytest.mark.parametrize(
    "path", ["/-/", "/-/nope", "/-/healthz/", "/-/../v1/models", "/-//healthz", "/-/%68ealthz"]
)
def test_other_own_page_is_not_found(
    upstream: ScriptedUpstream, proxy: RunningProxy, path: str
) -> None:
    """404 in OpenAI's error shape; nothing under /-/ goes upstream."""
    request = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path.encode()
    answer = exchange(proxy.port, request)
    assert answer.head.status == 404
    assert b'"code":"not_found"' in answer.body
    assert upstream.connections == 0


def test_own_page_takes_no_other_method(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """405, and the connection's next request is read where it begins."""
    with RawConnection(proxy.port) as connection:
        for method in ("POST", "DELETE", "OPTIONS"):
            connection.send(
                request_bytes(method, "http://127.0.0.1/-/healthz", body=b"GET / HTTP/1.1\r\n\r\n")
            )
            assert connection.read_exchange().head.status == 405
    assert upstream.connections == 0


def test_proxy_that_drains_is_not_ready() -> None:
    """503 from the signal on, so that no balancer sends more; it is healthy to its end."""

    async def statuses() -> list[int]:
        upstream = Upstream(
            UpstreamSettings(
                base_url=URL("http://127.0.0.1:1"),
                proxy=None,
                ca_file=None,
                connect_timeout=1,
                idle_timeout=None,
                header_bytes_max=65536,
            )
        )
        app = App(
            upstream=upstream,
            recorder=NullRecorder(),
            metrics=Metrics(),
            allowed_hosts=(),
            header_bytes_max=65536,
            on_disconnect="abort",
            takes_websockets=True,
        )
        found = [await _status(app, "/-/readyz"), await _status(app, "/-/healthz")]
        app.begin_draining([])
        found += [await _status(app, "/-/readyz"), await _status(app, "/-/healthz")]
        await upstream.close()
        return found

    assert asyncio.run(statuses()) == [200, 200, 503, 200]


async def _status(app: App, path: str) -> int:
    return (await app.handle(make_mocked_request("GET", path))).status


def metrics(port: int) -> Mapping[str, float]:
    """The samples of the metrics page, by name and labels."""
    answer = get(port, "/-/metrics")
    assert answer.head.status == 200
    assert answer.head.values("content-type")[0].startswith(b"text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def test_metrics_count_what_happened(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """Requests by status, refusals by code, and what is open now."""
    upstream.enqueue(Reply(body=[b"ok"]))
    upstream.enqueue(Reply(status=429, body=[b"{}"]))
    upstream.enqueue([Close()])
    statuses = [get(proxy.port, "/v1/models").head.status for _ in range(3)]
    assert statuses == [200, 429, 502]
    assert get(proxy.port, "/v1/models", host="evil.example").head.status == 403
    gate = Gate()
    upstream.enqueue(Reply(body=[gate, b"ok"]))
    with RawConnection(proxy.port) as connection:
        connection.send(call())
        gate.wait_until_reached()
        counted = metrics(proxy.port)
        gate.open()
        connection.read_exchange()
    assert counted['tailrace_requests_total{status="2xx"}'] == 1
    assert counted['tailrace_requests_total{status="4xx"}'] == 1
    assert counted['tailrace_requests_total{status="5xx"}'] == 1
    assert counted['tailrace_refused_total{code="host_not_allowed"}'] == 1
    assert counted["tailrace_open_exchanges"] == 1
    assert metrics(proxy.port)["tailrace_open_exchanges"] == 0


def test_metrics_count_a_client_that_left(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """It got no status, and is open no longer."""
    gate = Gate()
    upstream.enqueue([gate])
    connection = RawConnection(proxy.port)
    connection.send(call())
    gate.wait_until_reached()
    connection.close()
    upstream.request(0).wait_until_closed_by_peer()
    wait_until_read(proxy.port)
    counted = metrics(proxy.port)
    assert counted['tailrace_requests_total{status="none"}'] == 1
    assert counted["tailrace_open_exchanges"] == 0


def test_exchange_that_cannot_be_noted_has_ended(
    upstream: ScriptedUpstream, proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in telling of it is no client's business: it is open no longer, and nothing is sent."""

    def fail(**_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(exchange_log, "exchange_ended", fail)
    request = request_bytes("GET", "http://127.0.0.1/v1/models")
    with RawConnection(proxy.port) as connection:
        for body in (b"one", b"two"):
            upstream.enqueue(Reply(body=[body]))
            connection.send(request)
            assert connection.read_exchange().body == body
    assert metrics(proxy.port)["tailrace_open_exchanges"] == 0


def test_metrics_tell_what_was_lost(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """A capture that could not be decoded is one such thing, and traffic does not feel it."""
    body = b"this is no gzip at all"
    upstream.enqueue(Reply(headers=((b"Content-Encoding", b"gzip"),), body=[body]))
    assert exchange(proxy.port, call()).body == body
    assert metrics(proxy.port)['tailrace_lost_total{what="capture_bytes"}'] == len(body)


def test_every_counter_is_on_the_page() -> None:
    """Also those that only time fills: calls by terminal, and what was lost by kind."""
    counts = Metrics()
    counts.calls["completed"] += 2
    counts.calls["cancelled"] += 1
    page = counts.exposition({"capture_bytes": 3}).decode()
    assert 'tailrace_calls_total{terminal="completed"} 2.0' in page
    assert 'tailrace_calls_total{terminal="cancelled"} 1.0' in page
    assert 'tailrace_lost_total{what="capture_bytes"} 3.0' in page
