"""Threads that read the catalog, a connection for each, so that the loop never waits."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from ..call.live import LiveCalls, Progress
from ..catalog.catalog import Catalog
from ..catalog.rows import CallRow

CLOSE_SECONDS = 1.0
"""How long a thread's work is waited for at the end; it only reads, so it may be left."""

_Result = TypeVar("_Result")
_Job = Callable[[Callable[[], Catalog]], None]


class Readers:
    """So many threads that do what they are given, one after the other."""

    def __init__(self, trace_dir: Path, threads: int) -> None:
        self._trace_dir = trace_dir
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"reader-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, read: Callable[[Catalog], _Result]) -> _Result:
        """Do this in one of the threads. Raises what it raises, and what opening a catalog does."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[_Result] = loop.create_future()

        def job(opened: Callable[[], Catalog]) -> None:
            try:
                found = read(opened())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
                _tell(loop, result, error=error)
            else:
                _tell(loop, result, value=found)

        self._jobs.put(job)
        return await result

    def close(self) -> None:
        """End the threads; what one still does is waited for shortly."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        catalog: Catalog | None = None

        def opened() -> Catalog:
            nonlocal catalog
            if catalog is None:
                catalog = Catalog.open(self._trace_dir)
            else:
                catalog.follow()
            return catalog

        while (job := self._jobs.get()) is not None:
            job(opened)
        if catalog is not None:
            catalog.close()


class SharedLiveCalls(LiveCalls):
    """The calls that run, as all threads see them: one at a time looks."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def progress_of(self, rows: Iterable[CallRow]) -> dict[int, Progress]:
        """Look how far these calls have come, by their rows' ids; without those that ended."""
        with self._lock:
            return super().progress_of(rows)


def _tell(
    loop: asyncio.AbstractEventLoop,
    result: "asyncio.Future[_Result]",
    *,
    value: _Result | None = None,
    error: BaseException | None = None,
) -> None:
    def settle() -> None:
        if result.done():  # nobody waits for it any more
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]  # None is a result like others

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)
