"""What the environment holds by chance changes neither where a request goes nor what is in it."""

import socket
from pathlib import Path

import pytest

from proxy.access import is_allowed
from proxy.settings import Settings
from tests.support.differential import call
from tests.support.raw_http import exchange, request_bytes
from tests.support.running_proxy import RunningProxy
from tests.support.script import Reply, json_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.scripted_websocket import asking_head

HEALTH = request_bytes("GET", "http://127.0.0.1/-/healthz")
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY")


@pytest.mark.parametrize("request_", [call(), asking_head()], ids=["HTTP", "WebSocket"])
def test_no_proxy_of_the_environment_is_used(
    upstream: ScriptedUpstream,
    trace_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_: bytes,
) -> None:
    """Only `upstream_proxy` names one: keys do not go where a shell's profile says."""
    with socket.create_server(("127.0.0.1", 0)) as canary:
        url = f"http://127.0.0.1:{canary.getsockname()[1]}"
        for name in PROXY_VARIABLES:
            monkeypatch.setenv(name, url)
            monkeypatch.setenv(name.lower(), url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        upstream.enqueue(Reply(status=403, body=[b"{}"]))
        with RunningProxy(f"{upstream.url}/v1", trace_dir) as proxy:
            assert exchange(proxy.port, request_).head.status == 403
        canary.setblocking(False)
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_no_password_of_a_netrc_is_sent(
    upstream: ScriptedUpstream,
    trace_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that sends no key has none, whatever its host's user has in a file."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    upstream.enqueue(json_reply({}))
    with RunningProxy(f"{upstream.url}/v1", trace_dir) as proxy:
        exchange(proxy.port, call())
    assert upstream.request(0).header("authorization") is None


def test_loopback_is_the_default(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """Nobody else reaches the port unless a setting says so: not on any other address of ours."""
    assert is_allowed(Settings().listen_host, ())
    with RunningProxy(upstream.url, trace_dir) as proxy:
        assert exchange(proxy.port, HEALTH).head.status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", proxy.port))
