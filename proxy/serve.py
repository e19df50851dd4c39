"""Runs the proxy: from settings to a listening socket, and from a signal to a clean end."""

import asyncio
import asyncio.sslproto
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

import structlog
from aiohttp import http_parser
from yarl import URL

from tracing.call import CallSummary
from tracing.interface import NullRecorder, Recorder
from tracing.journal import JournalSettings
from tracing.recorder import RecorderListeners, ThreadedRecorder

from . import exchange_log
from .access import is_allowed
from .app import App
from .downstream import DownstreamServer
from .listening import BACKLOG, CannotServeError, open_listeners
from .metrics import Metrics
from .retention_thread import applied_retention
from .sealing import start_sealing
from .settings import Settings
from .upstream import Upstream, UpstreamSettings
from .upstream_protocol import READ_BYTES_MAX
from .worker_link import Wish, WorkerEnd

RECORDER_CLOSE_SECONDS = 5.0
"""How long a disk is waited for at the end."""

HEADERS_MAX = 1024
"""Fields in a request head; their bytes are bounded by ``header_bytes_max``."""

LOSS_SECONDS = 1.0
"""How often a worker tells the others what its tracing lost; all else they see as it happens."""

SWITCH_SECONDS = 0.0005
"""How long a busy recorder may keep the loop waiting. CPython's 5 ms, once for each system call of
the loop, made pauses of 25 ms where bodies of 1 MB were recorded; they are 7 ms so."""

COLLECTOR_THRESHOLD = 20_000
"""Objects more than at the last time after which the collector looks for cycles again."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningProxy:
    """A proxy that listens."""

    host: str
    port: int
    trace_dir: Path

    @property
    def base_url(self) -> str:
        """What a client on this machine sets as its base URL."""
        # The address that stands for all of a machine's is none to connect to.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - nothing is bound here
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/v1"


@asynccontextmanager
async def running_proxy(
    settings: Settings, hurry: asyncio.Event | None = None
) -> AsyncIterator[RunningProxy]:
    """Listen while the context is open. At its end exchanges finish and everything is recorded.

    Setting ``hurry`` ends the time that exchanges are given to finish. Raises CannotServeError.
    """
    listeners = open_listeners(settings)
    try:
        start_sealing(settings)
        async with _proxy_on(listeners, settings, Metrics(), hurry or asyncio.Event()) as proxy:
            yield proxy
    finally:
        _close(listeners)


@asynccontextmanager
async def _proxy_on(
    listeners: Sequence[socket.socket], settings: Settings, metrics: Metrics, hurry: asyncio.Event
) -> AsyncIterator[RunningProxy]:
    """Take the connections of these listeners while the context is open, and close them then."""
    _require_c_parser()
    _raise_descriptor_limit()
    upstream = _upstream(settings)
    recorder = _recorder(settings, metrics)
    app = App(
        upstream=upstream,
        recorder=recorder,
        metrics=metrics,
        allowed_hosts=[*settings.allowed_hosts, settings.listen_host],
        header_bytes_max=settings.header_bytes_max,
        on_disconnect=settings.on_disconnect,
        takes_websockets=settings.websockets,
    )
    server = _server(app, settings)
    telling = asyncio.create_task(_tell_losses(recorder, metrics))
    accepting: list[asyncio.Server] = []
    try:
        loop = asyncio.get_running_loop()
        accepting += [
            await loop.create_server(server, sock=listener, backlog=BACKLOG)
            for listener in listeners
        ]
        host, port = listeners[0].getsockname()[:2]
        yield RunningProxy(host=host, port=port, trace_dir=settings.trace_dir)
    finally:
        for acceptor in accepting:
            acceptor.close()
        app.begin_draining(server.connections)
        await app.finish(settings.shutdown_grace, hurry, server.connections_closed())
        await server.shutdown(timeout=1.0)
        await upstream.close()
        telling.cancel()
        if not await asyncio.to_thread(recorder.close, RECORDER_CLOSE_SECONDS):
            _log.error("not all could be recorded before the end", lost=recorder.lost())
        metrics.note_lost(recorder.lost())


def serve(settings: Settings, screen: TextIO) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends open exchanges at once.

    ``screen`` gets the start screen. Raises CannotServeError.
    """
    with applied_retention(settings):
        asyncio.run(_serve(settings, screen))


async def _serve(settings: Settings, screen: TextIO) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    async with running_proxy(settings, hurry) as proxy:
        tell_start(proxy, settings, screen)
        tune_interpreter()
        await stop.wait()
        _log.info("shutting down", grace_seconds=settings.shutdown_grace)


def serve_as_worker(
    settings: Settings, listeners: Sequence[socket.socket], link: WorkerEnd, metrics: Metrics
) -> None:
    """Serve these listeners until the parent says otherwise. Raises CannotServeError."""
    asyncio.run(_serve_as_worker(settings, listeners, link, metrics))


async def _serve_as_worker(
    settings: Settings, listeners: Sequence[socket.socket], link: WorkerEnd, metrics: Metrics
) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_wish() -> None:
        match link.hear():
            case None:
                return
            case Wish.HURRY:
                hurry.set()
            case Wish.GONE:
                loop.remove_reader(link.fileno())
                if not stop.is_set():
                    _log.error("the parent died; shutting down")
        stop.set()

    loop.add_reader(link.fileno(), on_wish)
    async with _proxy_on(listeners, settings, metrics, hurry):
        link.say_ready()
        tune_interpreter()
        await stop.wait()


def tune_interpreter() -> None:
    """Set the interpreter up for a loop that must not wait, beside a thread that works.

    What is there now stays, so the collector need not walk it; and calls leave no cycles behind,
    so it may come seldom: it took a tenth of the CPU under load.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    # A buffer of this size for each TLS connection, too, which by default is four times as large.
    asyncio.sslproto.SSLProtocol.max_size = READ_BYTES_MAX
    gc.freeze()
    gc.set_threshold(COLLECTOR_THRESHOLD, 20, 100)


def tell_start(proxy: RunningProxy, settings: Settings, screen: TextIO) -> None:
    """Write the start screen, and warn of an address that others can reach."""
    screen.write(start_screen(proxy, settings))
    screen.flush()
    if not is_allowed(settings.listen_host, ()):
        _log.warning(
            "whoever can reach this port can use the upstream, and fill the disk",
            listen=settings.listen,
        )


def start_screen(proxy: RunningProxy, settings: Settings) -> str:
    """Return what a user needs to know at start: what to set, and where traces go."""
    # Not resolved: to follow links would wait for a disk that hangs.
    traces = "off" if settings.capture == "off" else f"{settings.trace_dir.absolute()}"
    lines = [
        f"tailrace {version('tailrace')} listens on {proxy.base_url}",
        f"  upstream   {settings.upstream}",
        f"  traces     {traces}" + ("" if settings.capture != "metadata" else "  (metadata only)"),
        "",
        "Point a client at it:",
        f"  OpenAI SDKs   export OPENAI_BASE_URL={proxy.base_url}",
        f'  Codex         openai_base_url = "{proxy.base_url}"    in ~/.codex/config.toml',
        "",
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines) + "\n\n"


async def _tell_losses(recorder: Recorder, metrics: Metrics) -> None:
    while True:
        metrics.note_lost(recorder.lost())
        await asyncio.sleep(LOSS_SECONDS)


def _server(app: App, settings: Settings) -> DownstreamServer:
    return DownstreamServer(
        app.handle,
        connections_max=settings.connections_max,
        protocol_settings={
            "access_log": None,
            "auto_decompress": False,
            "logger": logging.getLogger(__name__),
            "max_field_size": settings.header_bytes_max,
            "max_line_size": settings.header_bytes_max,
            "max_headers": HEADERS_MAX,
        },
    )


def _upstream(settings: Settings) -> Upstream:
    try:
        return Upstream(_upstream_settings(settings))
    except OSError as error:  # OpenSSL's errors too
        reason = error.strerror or error
        message = f"upstream_ca_file: {settings.upstream_ca_file} cannot be used: {reason}"
        raise CannotServeError(message) from error


def _recorder(settings: Settings, metrics: Metrics) -> Recorder:
    if settings.capture == "off":
        return NullRecorder()

    def call_ended(call: CallSummary) -> None:
        metrics.calls[call.terminal] += 1
        exchange_log.call_ended(call)

    return ThreadedRecorder(
        _journal_settings(settings),
        RecorderListeners(
            call_ended=call_ended,
            disk_refused=exchange_log.disk_refused,
            disk_resumed=exchange_log.disk_resumed,
            loss_began=exchange_log.loss_began,
            loss_told=exchange_log.loss_told,
            failed=exchange_log.tracing_failed,
        ),
        flush_interval=settings.flush_interval,
        pending_bytes_max=settings.pending_bytes_max,
        request_bytes_max=settings.request_bytes_max,
        message_bytes_max=settings.message_bytes_max,
    )


def _journal_settings(settings: Settings) -> JournalSettings:
    return JournalSettings(
        trace_dir=settings.trace_dir,
        provider_name=URL(settings.upstream).host or "",
        producer={
            "name": "tailrace",
            "version": version("tailrace"),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "upstream": settings.upstream,
            "settings": {
                "capture": settings.capture,
                "durability": settings.durability,
                "on_disconnect": settings.on_disconnect,
                "event_bytes_max": settings.event_bytes_max,
                "request_bytes_max": settings.request_bytes_max,
                "capture_bytes_max": settings.capture_bytes_max,
                "decoded_bytes_max": settings.decoded_bytes_max,
            },
        },
        keep_bodies=settings.capture == "full",
        event_bytes_max=settings.event_bytes_max,
        decoded_bytes_max=settings.decoded_bytes_max,
        capture_bytes_max=settings.capture_bytes_max,
        bundle_bytes_max=settings.bundle_bytes_max,
        bundle_age_max=settings.bundle_age_max,
        survives_power_loss=settings.durability == "power",
    )


def _upstream_settings(settings: Settings) -> UpstreamSettings:
    ca_file = settings.upstream_ca_file
    return UpstreamSettings(
        base_url=URL(settings.upstream, encoded=True),
        proxy=URL(settings.upstream_proxy) if settings.upstream_proxy else None,
        ca_file=str(ca_file) if ca_file else None,
        connect_timeout=settings.upstream_connect_timeout,
        idle_timeout=settings.upstream_idle_timeout or None,
        header_bytes_max=settings.header_bytes_max,
    )


def _require_c_parser() -> None:
    """Refuse aiohttp's parser in Python, which is slower and was laxer than the one in C."""
    if not http_parser.HttpRequestParser.__module__.endswith("_http_parser"):
        raise CannotServeError(
            "aiohttp runs without its C extensions; install a wheel of it, and unset"
            " AIOHTTP_NO_EXTENSIONS"
        )


def _raise_descriptor_limit() -> None:
    """Allow as many open files as we may: each exchange holds two sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _close(listeners: Sequence[socket.socket]) -> None:
    for listener in listeners:
        listener.close()
