"""Runs the page's server: from a listen address to a printed URL, and from a signal to its end."""

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from aiohttp import web

from .access import Access, access_for
from .app import make_app

END_SECONDS = 1.0
"""How long an answer that is being sent is waited for at the end."""

_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES})

NICENESS = 10
"""The page may wait for a processor core; the proxy beside it may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """Where the traces are, where to listen, and who may look."""

    trace_dir: Path
    host: str
    port: int
    token: str | None
    """Asked for where it is set; beyond loopback one is made where it is not."""
    allowed_hosts: Collection[str]


class CannotListen(Exception):
    """The page cannot be served; the message says why and what to do."""


def serve_page(settings: PageSettings, screen: TextIO, *, ends_with_stdin: bool) -> None:
    """Serve the page until SIGTERM or SIGINT, or until stdin is closed where that is wanted.

    `screen` gets the URL, once one can connect to it. Raises CannotListen.
    """
    os.nice(NICENESS)
    asyncio.run(_serve(settings, screen, ends_with_stdin=ends_with_stdin))


async def _serve(settings: PageSettings, screen: TextIO, *, ends_with_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if ends_with_stdin:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    async with running_page(settings) as url:
        screen.write(f"{url}\n")
        screen.flush()
        await stop.wait()


@asynccontextmanager
async def running_page(settings: PageSettings) -> AsyncIterator[str]:
    """Serve while the context is open; it gives the URL. Raises CannotListen."""
    access = access_for(settings.host, settings.token, settings.allowed_hosts)
    listeners = _listeners(settings)
    port = int(listeners[0].getsockname()[1])
    runner = web.AppRunner(
        make_app(settings.trace_dir, access, port=port),
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        logger=_silent_logger(),
        shutdown_timeout=END_SECONDS,
    )
    await runner.setup()
    try:
        for listener in listeners:
            await web.SockSite(runner, listener).start()
        yield page_url(settings.host, port, access)
    finally:
        await runner.cleanup()


def page_url(host: str, port: int, access: Access) -> str:
    """What a person opens; with the token in it, where one is needed."""
    # The address that stands for all of a machine's is none to connect to.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound here
    host = f"[{host}]" if ":" in host else host
    token = "" if access.token is None else f"?token={quote(access.token, safe='')}"
    return f"http://{host}:{port}/{token}"


def _listeners(settings: PageSettings) -> list[socket.socket]:
    """Listen on every address of the host. Raises CannotListen."""
    found: list[socket.socket] = []
    try:
        places = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, address in dict.fromkeys((place[0], place[4]) for place in places):
            # The second address of a host gets the port that the first one found free.
            port = found[0].getsockname()[1] if found else settings.port
            found.append(socket.create_server((address[0], port), family=family))
    except OSError as error:
        if found and error.errno not in _TAKEN:
            return found  # a machine without IPv6 may still have an IPv6 address for localhost
        for listener in found:
            listener.close()
        raise _cannot_listen(settings, error) from error
    return found


def _cannot_listen(settings: PageSettings, error: OSError) -> CannotListen:
    # The numbers of gaierror are its own.
    is_gai = isinstance(error, socket.gaierror)
    reason = os.strerror(error.errno) if error.errno and not is_gai else error.strerror
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return CannotListen(
        f"cannot listen on {host}:{settings.port}: {reason}; --listen HOST:PORT chooses another"
    )


def _silent_logger() -> logging.Logger:
    """For what aiohttp says of malformed requests, which would be their bytes."""
    logger = logging.getLogger(f"{__name__}.aiohttp")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    return logger
