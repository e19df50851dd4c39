"""What it costs to read many calls: to index them, to ask the index, and to list them from a shell.

    python -m bench.reading [CALLS] [--keep DIR] [--runs N]

With --keep the traces stay in DIR, and are used again by the next run. Queries and commands are
run N times.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from viewer.catalog import queries
from viewer.catalog.catalog import Catalog
from viewer.catalog.place import CATALOG_NAME
from viewer.catalog.rows import CallFilter, Cursor

from .many_calls import MODELS, write_traces

ROOT = Path(__file__).resolve().parents[1]
CALLS = 100_000
RUNS = 11
COMMANDS = (("ls",), ("ls", "--json"), ("search", "ref"), ("stats",))
PAGE = 50
POINTS = 2_000

INDEX = """
import json, resource, sys, time
from pathlib import Path
from viewer.catalog.catalog import Catalog
with Catalog.open(Path(sys.argv[1])) as catalog:
    begun = time.monotonic(), time.process_time()
    catalog.refresh()
    print(json.dumps({
        "seconds": time.monotonic() - begun[0],
        "cpu_seconds": time.process_time() - begun[1],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something that was measured: a median with its worst run, or a single figure."""

    what: str
    value: float
    unit: str
    worst: float | None = None

    def __str__(self) -> str:
        """A row of the table."""
        worst = "" if self.worst is None else f"{self.worst:,.1f}"
        return f"| {self.what:<44} | {self.value:>9,.1f} | {worst:>9} | {self.unit:<7} |"


def measure(trace_dir: Path, call_count: int, runs: int) -> Iterator[Figure]:
    """Measure reading the calls of a trace directory, which has no index yet."""
    yield from _index(trace_dir, call_count)
    with Catalog.open(trace_dir) as catalog:
        yield _timed("refresh, nothing new", catalog.refresh, runs)
        for name, ask in _queries(catalog):
            yield _timed(name, ask, runs)
    for arguments in COMMANDS:
        yield _command(trace_dir, arguments, runs)


def _index(trace_dir: Path, call_count: int) -> Iterator[Figure]:
    done = _run([sys.executable, "-c", INDEX, str(trace_dir)])
    spent = json.loads(done)
    yield Figure(what="index, calls a second", value=call_count / spent["seconds"], unit="calls/s")
    yield Figure(what="index", value=spent["seconds"], unit="s")
    yield Figure(what="index, CPU", value=spent["cpu_seconds"], unit="s")
    yield Figure(what="index, peak memory", value=spent["peak_mib"], unit="MiB")
    size = (trace_dir / CATALOG_NAME).stat().st_size
    yield Figure(what="index, size", value=size / 2**20, unit="MiB")


def _queries(catalog: Catalog) -> list[tuple[str, Callable[[], object]]]:
    """What a person asks, by name; each page of it is as long as one that is shown."""
    every = CallFilter()
    page = queries.find_calls(catalog, every, limit=PAGE)
    oldest = queries.find_calls(catalog, every, limit=1, before=Cursor(started_at_unix_ms=0, id=0))
    middle = (page[0].started_at_unix_ms + oldest[0].started_at_unix_ms) // 2
    word = page[0].asked.split()[0]
    common = page[0].asked.split()[1]
    behind = Cursor(started_at_unix_ms=middle, id=0)
    find = partial(queries.find_calls, catalog, limit=PAGE)
    count = partial(queries.count_calls, catalog)
    search = partial(queries.search, catalog, wanted=every, limit=PAGE)
    asked: list[tuple[str, Callable[[], object]]] = [
        (f"list, newest {PAGE}", partial(find, every)),
        (f"list, {PAGE} from the middle on", partial(find, every, after=behind)),
        ("count, all", partial(count, every)),
    ]
    filters = {
        "failed": CallFilter(statuses=frozenset({"failed"})),
        "one model": CallFilter(model=MODELS[-1]),
        "a pattern that none fits": CallFilter(model="nobody*"),
        "slower than 20 s": CallFilter(slower_than_ms=20_000),
        "a word of one call": CallFilter(text=word),
        "a common word": CallFilter(text=common),
    }
    for name, wanted in filters.items():
        asked.append((f"list, {name}", partial(find, wanted)))
        asked.append((f"count, {name}", partial(count, wanted)))
    return [
        *asked,
        ("search, a word of one call", partial(search, word)),
        ("search, a common word", partial(search, common)),
        ("stats", partial(queries.stats, catalog, every)),
        (f"strip, {POINTS:,} points", partial(queries.strip, catalog, every, limit=POINTS)),
        ("models", partial(queries.models, catalog)),
    ]


def _timed(what: str, ask: Callable[[], object], runs: int) -> Figure:
    """The median of some runs and the slowest, which as a rule is the first."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - begun))
    return Figure(what=what, value=statistics.median(times), worst=max(times), unit="ms")


def _command(trace_dir: Path, arguments: Sequence[str], runs: int) -> Figure:
    """The whole process, as a shell sees it."""
    command = [sys.executable, "-m", "tailrace", *arguments, "--trace-dir", str(trace_dir)]
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        _run(command)
        times.append(1000 * (time.perf_counter() - begun))
    what = f"tailrace {' '.join(arguments)}"
    return Figure(what=what, value=statistics.median(times), worst=max(times), unit="ms")


def _run(command: Sequence[str]) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith("TAILRACE_")}
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


@contextmanager
def _traces(call_count: int, keep: Path | None) -> Iterator[Path]:
    """The traces, without an index."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as directory:
            write_traces(Path(directory), call_count)
            yield Path(directory)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if not any(keep.glob("trace-*")):
        write_traces(keep, call_count)
    for left in keep.glob(".catalog.*"):
        left.unlink()
    yield keep


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line for each figure as it comes."""
    parser = argparse.ArgumentParser(prog="python -m bench.reading")
    parser.add_argument("calls", type=int, nargs="?", default=CALLS)
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--runs", type=int, metavar="N", default=RUNS)
    chosen = parser.parse_args(arguments)
    with _traces(chosen.calls, chosen.keep) as trace_dir:
        print(f"| {f'{chosen.calls:,} calls':<44} |    median |     worst |         |")
        print(f"|{'-' * 46}|----------:|----------:|---------|")
        for figure in measure(trace_dir, chosen.calls, chosen.runs):
            print(figure, flush=True)


if __name__ == "__main__":
    main()
