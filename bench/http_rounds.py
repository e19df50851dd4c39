"""Runs a scenario over HTTP: each round every relay, each in a fresh process with a warm-up.

A run counts only if every response arrived as it was sent and, for ours, if every call is in the
bundle, whole, and nothing was told lost; a benchmark with a run that does not count has no result.
"""

import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from . import script as scripts
from .contenders import Contender, Cores
from .evidence import Demand, evidence_faults, record_faults
from .figures import Delays, Round, Run
from .http_work import Seen, Work
from .process import CannotStartError, Process
from .report import DIRECT, run_line, tell
from .script import Script

STILL_SECONDS = 0.6
STILL_SHARE = 0.05  # of a core
STILL_WITHIN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one run asks for, whichever the relay; see `Work`.

    With a ``window``, CPU is what was used within it, and memory what was resident at its end.
    """

    connections: int
    script: Script
    seconds: float
    warm: int = 1
    calls: int | None = None
    spread: float = 0.0
    interval: float = 0.0
    window: tuple[float, float] | None = None
    beside: tuple["Plan", ...] = ()
    """Loads that run meanwhile, in processes of their own; figures are of the first alone.

    They give way to upstream, and that to the first: their work must not look like a delay.
    """
    relay_cores: int = 1


@dataclass(slots=True, kw_only=True)
class Bench:
    """Relays beside each other on one upstream, and what was wrong so far."""

    plan: Plan
    contenders: Sequence[Contender]
    with_direct: bool
    cores: Cores
    upstream: Process
    upstream_port: int
    faults: list[str] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    """Others than us that did not pass on all: why they have no result."""

    def round(self, number: int) -> Round:
        """Run all relays, each round beginning with another."""
        relays: list[Contender | None] = [
            *(each for each in self.contenders if each.name not in self.dropped),
            *([None] if self.with_direct else []),
        ]
        first = number % len(relays)
        runs = {}
        for relay in relays[first:] + relays[:first]:
            try:
                [run], faults = self.runs(relay, f"r{number}")
            except CannotStartError as error:
                if relay is None or relay.is_ours:
                    raise
                self.dropped[relay.name] = str(error)
                continue
            tell(run_line(f"round {number + 1}", run))
            if faults and relay is not None and not relay.is_ours:
                self.dropped[relay.name] = faults[0]
            else:
                self.faults += [f"{run.relay}, round {number + 1}: {fault}" for fault in faults]
                runs[run.relay] = run
        return {name: runs[name] for name in map(_name, relays) if name in runs}

    def runs(
        self, contender: Contender | None, name: str, times: int = 1
    ) -> tuple[list[Run], list[str]]:
        """Put the load on one relay, once or again and again; return what was wrong, too."""
        demand = contender.evidence if contender else Demand.NONE
        runs: list[Run] = []
        works: list[Work] = []
        seen: list[Seen] = []
        with tempfile.TemporaryDirectory(prefix="bench-") as directory, ExitStack() as stack:
            work_dir = Path(directory)
            relay, port = None, self.upstream_port
            if contender is not None:
                relay, port = contender.start(self.upstream_port, work_dir, self.cores.relay)
                stack.enter_context(relay)
            for time_number in range(times):
                asked = self._works(port, f"{name}_{time_number}")
                run, came = self._measured(_name(contender), relay, asked)
                runs.append(run)
                works += asked
                seen += came
            told = [fault for each in seen for fault in each.faults]
            if demand is Demand.WHOLE:
                told += _lost(port)
            stack.close()  # which ends the relay, so its bundles are whole
            told += _evidence(demand, work_dir / "traces", works, seen)
        return runs, told

    def _works(self, port: int, name: str) -> list[Work]:
        plans = [self.plan, *self.plan.beside]
        return [_work(plan, port, f"{name}_{at}") for at, plan in enumerate(plans)]

    def _measured(
        self, name: str, relay: Process | None, works: Sequence[Work]
    ) -> tuple[Run, list[Seen]]:
        """Put the loads on a relay, and read what it took from when they are warm."""
        idle_kib = relay.resident_kib() if relay else 0
        with ExitStack() as stack:
            loads = [stack.enter_context(self._load(work)) for work in works]
            for load in loads:
                load.read_line()
            for load in loads[1:]:
                load.yield_to_others(wholly=True)
            if relay:
                relay.forget_peak()
            before = self._cpu(relay, loads)
            for load in loads:
                load.write_line()
            if works[0].window is None:
                seen = [Seen(**orjson.loads(load.read_line())) for load in loads]
                if relay:
                    _wait_until_still(relay)
                after = self._cpu(relay, loads)
                held_kib = relay.peak_kib() if relay else 0
            else:
                start, end = works[0].window
                time.sleep(start)
                before = self._cpu(relay, loads)
                time.sleep(end - start)
                after = self._cpu(relay, loads)
                held_kib = relay.resident_kib() if relay else 0
                seen = [Seen(**orjson.loads(load.read_line())) for load in loads]
                seen[0].wall = end - start
        cpu = [end - start for start, end in zip(before, after, strict=True)]
        main = seen[0]
        run = Run(
            relay=name,
            calls=main.calls,
            events=main.events,
            wall=main.wall,
            relay_cpu=cpu[0],
            upstream_cpu=cpu[1],
            load_cpu=sum(cpu[2:]),
            deltas=Delays.of(main.deltas),
            first_events=Delays.of(main.first_events),
            whole_calls=Delays.of(main.whole_calls),
            idle_kib=idle_kib,
            held_kib=held_kib,
        )
        return run, seen

    @contextmanager
    def _load(self, work: Work) -> Iterator[Process]:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as directory,
            Process.module(
                "bench.http_load", work.to_json(), work_dir=Path(directory), cores=self.cores.ends
            ) as load,
        ):
            yield load

    def _cpu(self, relay: Process | None, loads: Sequence[Process]) -> list[float]:
        processes = [relay, self.upstream, *loads]
        return [each.cpu_seconds() if each else 0.0 for each in processes]


def _name(contender: Contender | None) -> str:
    return contender.name if contender else DIRECT


def _work(plan: Plan, port: int, run: str) -> Work:
    return Work(
        port=port,
        run=run,
        connections=plan.connections,
        script=plan.script,
        seconds=plan.seconds,
        warm=plan.warm,
        calls=plan.calls,
        spread=plan.spread,
        interval=plan.interval,
        window=plan.window,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All rounds, of the relays that have a result; and why there is none at all, if so."""

    rounds: list[Round]
    faults: list[str]
    dropped: dict[str, str]


def run(
    plan: Plan, contenders: Sequence[Contender], rounds: int, *, with_direct: bool = True
) -> Outcome:
    """Run all rounds."""
    with _bench(plan, contenders, with_direct=with_direct) as bench:
        found = [bench.round(number) for number in range(rounds)]
    return Outcome(
        rounds=[
            {name: run for name, run in each.items() if name not in bench.dropped} for each in found
        ],
        faults=bench.faults,
        dropped=bench.dropped,
    )


def run_repeatedly(plan: Plan, contender: Contender, times: int) -> tuple[list[Run], list[str]]:
    """Put the same load on one process again and again; return what was wrong, too."""
    with _bench(plan, [contender], with_direct=False) as bench:
        return bench.runs(contender, "again", times)


@contextmanager
def _bench(plan: Plan, contenders: Sequence[Contender], *, with_direct: bool) -> Iterator[Bench]:
    cores = Cores.shared_out(plan.relay_cores)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        Process.module(
            "bench.http_upstream", work_dir=Path(directory), cores=cores.ends
        ) as upstream,
    ):
        if plan.beside:
            upstream.yield_to_others(wholly=False)
        yield Bench(
            plan=plan,
            contenders=contenders,
            with_direct=with_direct,
            cores=cores,
            upstream=upstream,
            upstream_port=upstream.read_port(),
        )


def _wait_until_still(relay: Process) -> None:
    """Wait until a relay has used next to nothing for some time, thrice its interval of writing."""
    deadline = time.monotonic() + STILL_WITHIN
    used = relay.cpu_seconds()
    while time.monotonic() < deadline:
        time.sleep(STILL_SECONDS)
        before, used = used, relay.cpu_seconds()
        if used - before <= STILL_SHARE * STILL_SECONDS:
            return


def _lost(port: int) -> list[str]:
    """What the relay's metrics count as lost."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    counts = [line for line in lines if line.startswith("tailrace_lost_total")]
    return [f"lost: {line}" for line in counts if float(line.rpartition(" ")[2])]


def _evidence(
    demand: Demand, trace_dir: Path, works: Sequence[Work], seen: Sequence[Seen]
) -> list[str]:
    calls = {
        name: script
        for work, each in zip(works, seen, strict=True)
        for name, script in work.calls_of(each.calls_of)
    }
    match demand:
        case Demand.NONE:
            return []
        case Demand.RECORDS:
            return record_faults(trace_dir, len(calls))
        case Demand.WHOLE:
            sizes = {script: scripts.body_size(script) for script in set(calls.values())}
            return evidence_faults(
                trace_dir,
                {name.decode(): script.events for name, script in calls.items()},
                sum(sizes[script] for script in calls.values()),
            )
