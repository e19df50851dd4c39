"""The page's server in a thread of the test's process, and a client that asks it as it is told."""

import asyncio
import http.client
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from viewer.catalog.catalog import Catalog, NoTraces
from viewer.page.server import PageSettings, running_page

from .script import GUARD_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the page answered."""

    status: int
    headers: Mapping[str, str]
    text: str


class RunningPage:
    """`with RunningPage(trace_dir) as page:` listens on a port of its own."""

    def __init__(
        self,
        trace_dir: Path,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
        allowed_hosts: tuple[str, ...] = (),
    ) -> None:
        self.url = ""
        self._settings = PageSettings(
            trace_dir=trace_dir, host=host, port=0, token=token, allowed_hosts=allowed_hosts
        )
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="running-page", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """Ask for a path, with these fields; `_` in their names stands for a hyphen."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GUARD_S)
        try:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=fields)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            # Several fields of one name are none of ours.
            return Answer(status=response.status, headers=dict(response.headers), text=text)
        finally:
            connection.close()

    def updates(self, query: str = "") -> "UpdateStream":
        """An open stream of updates."""
        return UpdateStream(self.port, query)

    def stop(self) -> None:
        """Close the page as SIGTERM would; again does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(GUARD_S)
            assert not self._thread.is_alive(), "the page did not stop"
        if self._errors:
            raise self._errors.pop()

    def __enter__(self) -> Self:
        # A page waits a moment for the index, and a busy machine makes that too short for a test.
        with suppress(NoTraces), Catalog.open(self._settings.trace_dir) as catalog:
            catalog.refresh()
        self._thread.start()
        assert self._ready.wait(GUARD_S), "the page did not start"
        if not self.url:
            self.stop()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread
            self._errors.append(error)
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        async with running_page(self._settings) as url:
            self.url = url
            self._ready.set()
            await self._stop.wait()


class UpdateStream:
    """`with page.updates() as stream:` reads `/updates`, message by message."""

    def __init__(self, port: int, query: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GUARD_S)
        self._connection.request("GET", f"/updates{query}")
        self._response = self._connection.getresponse()

    @property
    def status(self) -> int:
        """Of the answer."""
        return self._response.status

    def next_change(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        while line := self._response.readline():
            if line.startswith(b"data: "):
                change = json.loads(line.removeprefix(b"data: "))
                assert isinstance(change, dict)
                return change
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._response.close()
        self._connection.close()
