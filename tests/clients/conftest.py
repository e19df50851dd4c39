"""The clients as their users have them, but for the base URL, and what they call."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.support.codex_cli import require_codex
from tests.support.codex_run import CodexRun
from tests.support.responses_socket import ResponsesSocket
from tests.support.running_proxy import RunningProxy

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[openai.OpenAI]:
    """The SDK as users have it, but for its base URL."""
    with openai.OpenAI(base_url=proxy.base_url, api_key=KEY) as client:
        yield client


@pytest.fixture
def codex(tmp_path: Path) -> CodexRun:
    """Codex with a home of its own; skipped where there is no codex command."""
    return CodexRun(require_codex(), tmp_path)


@pytest.fixture
def socket_upstream() -> Iterator[ResponsesSocket]:
    """An upstream that speaks WebSocket alone; the test fails if a script stays unplayed."""
    with ResponsesSocket() as server:
        yield server


@pytest.fixture
def socket_proxy(socket_upstream: ResponsesSocket, trace_dir: Path) -> Iterator[RunningProxy]:
    """The real proxy before the WebSocket upstream, with default settings."""
    with RunningProxy(f"{socket_upstream.url}/v1", trace_dir) as running:
        yield running


@pytest.fixture
def socket_client(socket_proxy: RunningProxy) -> Iterator[openai.OpenAI]:
    """The SDK as users have it, but for its base URL, before the WebSocket upstream."""
    with openai.OpenAI(base_url=socket_proxy.base_url, api_key=KEY) as client:
        yield client
