"""Scenario: many WebSockets, each with a response whose deltas come one by one.

A run counts only if every frame arrived, unchanged and in order, and, for ours, if every response
is in the bundle, whole; a benchmark with a run that does not count has no result.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import orjson

from .evidence import evidence_faults
from .figures import Delays, Round, Run, us_per_event
from .frames_work import Seen, Work
from .nginx import find_nginx, start_nginx
from .process import Process
from .report import (
    DIRECT,
    NGINX,
    cost,
    delays,
    goals,
    ratio,
    ratio_goal,
    run_line,
    shares_of_ends,
    table,
    tell,
)

OURS, BARE = "tailrace", "bare"
DELTAS = 204
PACE = 0.05

GOAL = 1.2
"""CPU per frame of ours as a multiple of the bare relay's, at most."""

COLUMNS = [
    *cost("a frame", us_per_event),
    ratio(BARE, us_per_event),
    ratio(NGINX, us_per_event),
    *delays("delta", lambda run: run.deltas),
    shares_of_ends(),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is run; ``pace`` is the seconds between two deltas of a socket."""

    rounds: int = 5
    sockets: int = 100
    responses: int = 1
    deltas: int = DELTAS
    pace: float = PACE
    settle: float = 1.0  # seconds after the last frame, so that what is written late counts
    nginx: bool = True

    @classmethod
    def lasting(cls, seconds: float | None, rounds: int, *, nginx: bool) -> Self:
        """Plan runs of so many seconds; of some ten if that is None."""
        deltas = DELTAS if seconds is None else max(1, round(seconds / PACE))
        return cls(rounds=rounds, deltas=deltas, nginx=nginx)


@dataclass(slots=True, kw_only=True)
class Bench:
    """What runs, and what was seen so far; a port for each relay, a process for each but none."""

    plan: Plan
    upstream: Process
    work_dir: Path
    ports: dict[str, int]
    relays: dict[str, Process]
    faults: list[str] = field(default_factory=list)
    frames_of: dict[str, int] = field(default_factory=dict)
    """Of each response that came through ours, how many frames."""
    payload_bytes: int = 0

    def run(self, relay: str, name: str, deltas: int) -> Run:
        """Put the load on one relay. What is wrong with it goes into the faults."""
        plan = self.plan
        work = Work(
            port=self.ports[relay],
            run=f"{relay}_{name}",
            sockets=plan.sockets,
            responses=plan.responses,
            deltas=deltas,
            pace=plan.pace,
        )
        asked = orjson.dumps(work).decode()
        with Process.module("bench.frames_load", asked, work_dir=self.work_dir) as load:
            load.read_line()
            processes = [self.relays.get(relay), self.upstream, load]
            before = [each.cpu_seconds() if each else 0.0 for each in processes]
            load.write_line()
            seen = Seen(**orjson.loads(load.read_line()))
            time.sleep(plan.settle)
            after = [each.cpu_seconds() if each else 0.0 for each in processes]
        cpu = [end - start for start, end in zip(before, after, strict=True)]
        self._check(relay, work, seen)
        return Run(
            relay=relay,
            calls=seen.whole_responses,
            events=seen.frames,
            wall=seen.wall,
            relay_cpu=cpu[0],
            upstream_cpu=cpu[1],
            load_cpu=cpu[2],
            deltas=Delays.of(seen.delays),
        )

    def _check(self, relay: str, work: Work, seen: Seen) -> None:
        self.faults += [f"{work.run}: {fault}" for fault in seen.faults]
        if seen.whole_responses != len(work.names):
            self.faults.append(
                f"{work.run}: {seen.whole_responses} of {len(work.names)} were whole"
            )
        if relay == OURS:
            self.frames_of |= dict.fromkeys(work.names, work.frames_each)
            self.payload_bytes += seen.payload_bytes

    def round(self, number: int) -> Round:
        """Run all relays, each round beginning with another."""
        relays = [*self.ports]
        first = number % len(relays)
        order = relays[first:] + relays[:first]
        runs = {relay: self.run(relay, f"r{number}", self.plan.deltas) for relay in order}
        for run in runs.values():
            tell(run_line(f"round {number + 1}", run))
        return {relay: runs[relay] for relay in self.ports}


@contextmanager
def _started(plan: Plan, work_dir: Path, nginx: str | None) -> Iterator[Bench]:
    with ExitStack() as stack:
        upstream = stack.enter_context(Process.module("bench.frames_upstream", work_dir=work_dir))
        port = upstream.read_port()
        url = f"http://127.0.0.1:{port}/v1"
        relays = {
            OURS: stack.enter_context(
                Process.module(
                    *("tailrace", "serve", "--listen", "127.0.0.1:0", "--upstream", url),
                    *("--trace-dir", str(work_dir / "traces")),
                    work_dir=work_dir,
                )
            ),
            BARE: stack.enter_context(
                Process.module("bench.bare_relay", str(port), work_dir=work_dir)
            ),
        }
        ports = {relay: process.read_port() for relay, process in relays.items()}
        if nginx is not None:
            process, ports[NGINX] = start_nginx(nginx, port, work_dir)
            relays[NGINX] = stack.enter_context(process)
        ports[DIRECT] = port
        yield Bench(plan=plan, upstream=upstream, work_dir=work_dir, ports=ports, relays=relays)


def run(plan: Plan) -> tuple[str, list[str]]:
    """Run the scenario; return the report, and why it is no result, if it is none."""
    nginx = find_nginx() if plan.nginx else None
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        with _started(plan, Path(name), nginx) as bench:
            for relay in bench.ports:
                bench.run(relay, "warm", max(1, plan.deltas // 4))
            rounds = [bench.round(number) for number in range(plan.rounds)]
        # Ours has ended, so its bundle is whole.
        evidence = evidence_faults(Path(name) / "traces", bench.frames_of, bench.payload_bytes)
    report = [
        f"### websocket: {plan.sockets} sockets, a frame each {plan.pace * 1000:.0f} ms",
        table(rounds, COLUMNS),
        goals(rounds, [ratio_goal(OURS, BARE, GOAL, us_per_event)]),
    ]
    return "\n\n".join(report), bench.faults + evidence
