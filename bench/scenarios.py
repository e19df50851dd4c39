"""The scenarios over HTTP: what each asks for, and what its table shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import http_rounds
from .contenders import (
    OURS,
    OURS_OFF,
    OURS_SLOW,
    OURS_TWICE,
    PEERS,
    PLAIN,
    STANDARD,
    Contender,
    installed,
)
from .figures import Figure, us_per_call, us_per_event
from .report import (
    NGINX,
    Column,
    Goal,
    added_goal,
    calls_per_second,
    cost,
    delays,
    goals,
    growth_goal,
    memory,
    ratio,
    ratio_goal,
    shares_of_ends,
    table,
)
from .script import Script

DELTA_PACE = 0.05
IDLE_STREAMS = 2_000
MB = 1_000_000
BIT_BY_BIT = 1e-6  # seconds: a large response that is not written in one piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One of them; ``plan`` takes the seconds that a run is to last."""

    title: str
    seconds: float
    plan: Callable[[float], http_rounds.Plan]
    columns: Sequence[Column]
    goals: Sequence[Goal] = ()
    relays: tuple[str, ...] = (*STANDARD, *PEERS)


def _burst(seconds: float) -> http_rounds.Plan:
    script = Script(stream=True, deltas=200)
    return http_rounds.Plan(connections=16, script=script, seconds=seconds, warm=10)


def _paced(seconds: float) -> http_rounds.Plan:
    deltas = 60  # so that calls begin throughout
    script = Script(stream=True, deltas=deltas, pace=DELTA_PACE)
    length = deltas * DELTA_PACE
    return http_rounds.Plan(
        connections=200,
        script=script,
        seconds=seconds + length,
        calls=max(1, round(seconds / length)),
        spread=length * 1.0123,  # so that the deltas of different streams are not due at once
    )


def _small(seconds: float) -> http_rounds.Plan:
    return http_rounds.Plan(connections=16, script=Script(), seconds=seconds, warm=50)


def _body(seconds: float) -> http_rounds.Plan:
    script = Script(request_bytes=1_000_000)
    # As many as a disk takes: what is beyond is let go, by design, and then there is no result.
    return http_rounds.Plan(
        connections=8, script=script, seconds=seconds, warm=3, spread=0.08, interval=0.08
    )


def _idle(seconds: float) -> http_rounds.Plan:
    opening = 6.0
    script = Script(stream=True, deltas=round(opening + seconds) + 1, pace=1.0)
    return http_rounds.Plan(
        connections=IDLE_STREAMS,
        script=script,
        seconds=opening + seconds,
        calls=1,
        spread=4.0123,
        window=(opening, opening + seconds),
    )


def _probe(seconds: float, beside: tuple[http_rounds.Plan, ...] = ()) -> http_rounds.Plan:
    """Plan streams of which one or another has a delta each ms, to be looked at."""
    script = Script(stream=True, deltas=max(1, round(seconds / 0.01)), pace=0.01)
    return http_rounds.Plan(
        connections=10, script=script, seconds=seconds, calls=1, spread=0.01, beside=beside
    )


def _quiet(seconds: float) -> http_rounds.Plan:
    return _probe(seconds)


def _mixed(seconds: float) -> http_rounds.Plan:
    """Plan the probe beside requests of 1 MB and responses of 10 MB, in small or large events."""
    bodies = http_rounds.Plan(
        connections=4, script=Script(request_bytes=MB), seconds=seconds, spread=0.2, interval=0.2
    )
    # The text is told five times: in the deltas, at the ends of text, part and item, and whole.
    long = Script(stream=True, deltas=200, delta_bytes=10_000, pace=BIT_BY_BIT)
    responses = http_rounds.Plan(
        connections=2, script=long, seconds=seconds, warm=0, spread=1.0, interval=1.0
    )
    large = Script(stream=True, deltas=1, delta_bytes=2 * MB, pace=BIT_BY_BIT)
    events = http_rounds.Plan(
        connections=1, script=large, seconds=seconds, warm=0, spread=0.5, interval=2.0
    )
    return _probe(seconds, (bodies, responses, events))


def _workers(seconds: float) -> http_rounds.Plan:
    return http_rounds.Plan(
        connections=256, script=Script(), seconds=seconds, warm=10, relay_cores=2
    )


def _first(share: str) -> Figure:
    return lambda run: float(getattr(run.first_events, share))


def _delta(share: str) -> Figure:
    return lambda run: float(getattr(run.deltas, share))


def _costs(unit: str, figure: Figure) -> list[Column]:
    return [*cost(unit, figure), ratio(NGINX, figure), ratio(OURS_OFF, figure)]


PER_CALL = [*_costs("a call", us_per_call), calls_per_second()]
PER_EVENT = _costs("an event", us_per_event)
WHOLE = delays("call", lambda run: run.whole_calls)
FIRST = delays("first event", lambda run: run.first_events)
DELTA = delays("delta", lambda run: run.deltas)
PAUSES = delays("delta", lambda run: run.deltas, p999=True)
ENDS = [memory(), shares_of_ends()]

SCENARIOS = {
    "burst": Scenario(
        title="16 connections, 208 events of 67 KB at once",
        seconds=2.0,
        plan=_burst,
        columns=[*PER_CALL, *ENDS],
        goals=[ratio_goal(OURS, NGINX, 2.0, us_per_call)],
    ),
    "paced": Scenario(
        title="200 streams, a delta each 50 ms",
        seconds=6.0,
        plan=_paced,
        columns=[*PER_EVENT, *FIRST, *DELTA, *ENDS],
        goals=[
            ratio_goal(OURS, NGINX, 1.8, us_per_event),
            ratio_goal(OURS, OURS_OFF, 1.25, us_per_event),
            added_goal("first event, p50", OURS, 0.7, _first("p50")),
            added_goal("first event, p99", OURS, 2.0, _first("p99")),
            added_goal("delta, p99", OURS, 1.5, _delta("p99")),
        ],
    ),
    "small": Scenario(
        title="16 connections, JSON calls of 1 KB",
        seconds=2.0,
        plan=_small,
        columns=[*PER_CALL, *WHOLE, *ENDS],
        goals=[ratio_goal(OURS, NGINX, 8.0, us_per_call)],
    ),
    "body": Scenario(
        title="8 connections, 100 requests of 1 MB a second",
        seconds=3.0,
        plan=_body,
        columns=[*PER_CALL, *WHOLE, *ENDS],
        goals=[ratio_goal(OURS, NGINX, 4.5, us_per_call), growth_goal(OURS, 96.0)],
    ),
    "idle": Scenario(
        title=f"{IDLE_STREAMS} open streams, a delta each second on each, once all are open",
        seconds=5.0,
        plan=_idle,
        columns=[*PER_EVENT, *DELTA, memory(IDLE_STREAMS), shares_of_ends()],
        goals=[
            ratio_goal(OURS, NGINX, 1.3, us_per_event),
            growth_goal(OURS, 28.0, for_each=IDLE_STREAMS),
        ],
        relays=STANDARD,
    ),
    "quiet": Scenario(
        title="10 streams, a delta each 10 ms",
        seconds=6.0,
        plan=_quiet,
        columns=PAUSES,
        relays=STANDARD,
    ),
    "mixed": Scenario(
        title="the same, beside requests of 1 MB and responses of 10 MB, some in five events",
        seconds=6.0,
        plan=_mixed,
        columns=[*PAUSES, *ENDS],
        goals=[added_goal("delta, the latest", OURS, 10.0, _delta("most"))],
        relays=STANDARD,
    ),
    "slow-disk": Scenario(
        title="as body, on a disk that takes 40 MB a second",
        seconds=3.0,
        plan=_body,
        columns=[*PER_CALL[:2], calls_per_second(), *WHOLE, *ENDS],
        goals=[growth_goal(OURS_SLOW, 96.0)],
        relays=(OURS, OURS_SLOW, PLAIN),
    ),
    "workers": Scenario(
        title="256 connections, JSON calls of 1 KB, all on all cores",
        seconds=3.0,
        plan=_workers,
        columns=[*cost("a call", us_per_call), ratio(OURS, us_per_call), calls_per_second(), *ENDS],
        goals=[ratio_goal(OURS_TWICE, OURS, 1.1, us_per_call)],
        relays=(OURS, OURS_TWICE),
    ),
}


def run(
    name: str,
    chosen: Mapping[str, Contender] | None,
    *,
    rounds: int,
    seconds: float | None,
    with_direct: bool,
) -> tuple[str, list[str]]:
    """Run a scenario with the relays chosen, or its own; see `http_rounds.run`."""
    scenario = SCENARIOS[name]
    relays = chosen if chosen is not None else installed(scenario.relays)
    plan = scenario.plan(seconds or scenario.seconds)
    outcome = http_rounds.run(plan, [*relays.values()], rounds, with_direct=with_direct)
    if outcome.faults or not any(outcome.rounds):
        return "", outcome.faults or [*outcome.dropped.values()]
    parts = [
        f"### {name}: {scenario.title}",
        table(outcome.rounds, scenario.columns),
        goals(outcome.rounds, scenario.goals),
        *(f"- {relay}: no result, since {why}" for relay, why in outcome.dropped.items()),
    ]
    return "\n\n".join(part for part in parts if part), []
