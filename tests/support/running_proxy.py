"""The real proxy in a thread of the test's process: as fast to start as a test wants it.

What only a process can show (signals, exit codes, workers) is `serve_process`'s.
"""

import asyncio
import gc
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from proxy.serve import running_proxy
from proxy.settings import Settings

from .script import GUARD_S


class RunningProxy:
    """`with RunningProxy(upstream_url, trace_dir) as proxy:` listens on a port of its own.

    Settings beside these have their defaults, unless named. An error that reached the proxy's
    loop or thread, and not a client, is raised when the proxy is left.
    """

    def __init__(self, upstream_url: str, trace_dir: Path, **settings: Any) -> None:
        self.trace_dir = trace_dir
        self.base_url = ""
        self._settings = Settings(
            listen="127.0.0.1:0", upstream=upstream_url, trace_dir=trace_dir, **settings
        )
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="running-proxy", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        port = urlsplit(self.base_url).port
        assert port is not None
        return port

    def bundles(self) -> list[Path]:
        """The bundles written so far, oldest first."""
        return sorted(self.trace_dir.glob("trace-*"))

    def stop(self) -> None:
        """Close the proxy as SIGTERM would, to the end of its bundles; again does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(GUARD_S)
            assert not self._thread.is_alive(), "the proxy did not stop"
            gc.collect(1)  # an exception that nobody retrieved is told when its future goes
        if self._errors:
            errors, self._errors = self._errors, []
            raise errors[0]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(GUARD_S), "the proxy did not start"
        if not self.base_url:
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
        self._loop.set_exception_handler(self._note_unhandled)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread
            self._errors.append(error)
        finally:
            self._loop.close()
            self._ready.set()

    def _note_unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._errors.append(context.get("exception") or AssertionError(context["message"]))

    async def _serve(self) -> None:
        async with running_proxy(self._settings) as proxy:
            self.base_url = proxy.base_url
            self._ready.set()
            await self._stop.wait()
