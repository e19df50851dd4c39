"""The relays that are compared over HTTP, and how each is started."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .evidence import Demand
from .nginx import find_nginx, nginx_version, start_nginx
from .peers import start_claude_tap, start_codex, start_mitmproxy, version_of
from .process import Process
from .report import NGINX

OURS, OURS_OFF, PLAIN, SPLICE = "tailrace", "tailrace-off", "aiohttp", "splice"
OURS_TWICE, OURS_SLOW = "tailrace-2", "tailrace-slow-disk"
STANDARD = (OURS, OURS_OFF, PLAIN, SPLICE, NGINX)
PEERS = ("mitmproxy", "claude-tap", "codex")
SLOW_DISK_BYTES = 40_000_000
"""A second: less than half of what the 1 MB requests bring."""

Started = tuple[Process, int]
"""A relay's process, to be stopped, and its port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A relay; ``version`` is None where it is not installed."""

    name: str
    version: str | None
    start: Callable[[int, Path, Collection[int] | None], Started]
    """From upstream's port, a directory of its own, and the cores that it may use."""
    evidence: Demand = Demand.NONE
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where: the relay alone on its cores, upstream and the load on the others."""

    relay: Collection[int] | None
    ends: Collection[int] | None

    @classmethod
    def shared_out(cls, relay_cores: int = 1) -> "Cores":
        """Give the relay the last ones, unless that leaves none for the others."""
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) <= relay_cores:
            return cls(None, None)
        return cls(cores[-relay_cores:], cores[:-relay_cores])


@cache
def contenders() -> dict[str, Contender]:
    """Every relay by its name, installed or not."""
    nginx = find_nginx()
    found = [
        Contender(name=OURS, version="", start=_ours("full"), evidence=Demand.WHOLE, is_ours=True),
        Contender(name=OURS_OFF, version="", start=_ours("off"), is_ours=True),
        Contender(
            name=OURS_TWICE, version="", start=_ours("full", 2), evidence=Demand.WHOLE, is_ours=True
        ),
        Contender(
            name=OURS_SLOW, version="", start=_slow_disk, evidence=Demand.RECORDS, is_ours=True
        ),
        Contender(name=PLAIN, version="", start=_bare("bench.bare_http")),
        Contender(name=SPLICE, version="", start=_bare("bench.bare_splice")),
        Contender(
            name=NGINX,
            version=nginx_version(nginx) if nginx else None,
            start=lambda port, work_dir, cores: start_nginx(nginx or "", port, work_dir, cores),
        ),
        Contender(
            name="mitmproxy",
            version=version_of("mitmdump", "--version"),
            start=start_mitmproxy,
        ),
        Contender(
            name="claude-tap",
            version=version_of("claude-tap", "--version"),
            start=start_claude_tap,
        ),
        Contender(name="codex", version=version_of("codex", "--version"), start=start_codex),
    ]
    return {each.name: each for each in found}


def installed(names: Sequence[str]) -> dict[str, Contender]:
    """Those of these relays that are installed."""
    every = contenders()
    return {name: every[name] for name in names if every[name].version is not None}


def _ours(capture: str, workers: int = 1) -> Callable[[int, Path, Collection[int] | None], Started]:
    def start(upstream_port: int, work_dir: Path, cores: Collection[int] | None) -> Started:
        (work_dir / "tailrace.toml").write_text(f'capture = "{capture}"\n')
        serve = _serve(upstream_port, work_dir)
        if workers > 1:
            serve += ["--workers", str(workers)]
        return _with_port(Process.module("tailrace", *serve, work_dir=work_dir, cores=cores))

    return start


def _slow_disk(upstream_port: int, work_dir: Path, cores: Collection[int] | None) -> Started:
    command = [str(SLOW_DISK_BYTES), *_serve(upstream_port, work_dir)]
    return _with_port(Process.module("bench.slow_disk", *command, work_dir=work_dir, cores=cores))


def _serve(upstream_port: int, work_dir: Path) -> list[str]:
    upstream = f"http://127.0.0.1:{upstream_port}/v1"
    traces = str(work_dir / "traces")
    return ["serve", "--listen", "127.0.0.1:0", "--upstream", upstream, "--trace-dir", traces]


def _bare(module: str) -> Callable[[int, Path, Collection[int] | None], Started]:
    def start(upstream_port: int, work_dir: Path, cores: Collection[int] | None) -> Started:
        process = Process.module(module, str(upstream_port), work_dir=work_dir, cores=cores)
        return _with_port(process)

    return start


def _with_port(process: Process) -> Started:
    try:
        return process, process.read_port()
    except BaseException:
        process.stop()
        raise
