"""The benchmark runs, and what it runs is complete; how fast it is, no test says."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import http_rounds, script
from bench.__main__ import main
from bench.contenders import OURS, OURS_SLOW, OURS_TWICE, PLAIN, installed
from bench.evidence import evidence_faults, record_faults
from bench.figures import Delays, Run, added_delay, ratio_of, us_per_call, us_per_event
from bench.http_check import dechunked, fault_in
from bench.http_work import Work
from bench.process import Process
from bench.report import DIRECT, goals, growth_goal, ratio_goal
from bench.scenarios import SCENARIOS
from bench.script import Script, full_name, stamp
from bench.websocket import Plan, run

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
NAME = full_name("r0_1_2")
BURST = Script(stream=True, deltas=3)
PACED = replace(BURST, pace=0.001)


def test_the_websocket_scenario_loses_nothing() -> None:
    """Every frame arrives in order, and every response is in the bundle, whole."""
    plan = Plan(rounds=1, sockets=2, responses=2, deltas=3, pace=0.001, settle=0.0, nginx=False)
    report, faults = run(plan)
    assert faults == []
    assert "| tailrace |" in report
    assert "| nginx |" not in report


@pytest.mark.parametrize(
    ("plan", "relays"),
    [
        (http_rounds.Plan(connections=2, script=BURST, seconds=9, calls=2), (OURS, PLAIN)),
        (http_rounds.Plan(connections=2, script=PACED, seconds=9, calls=2), (OURS, OURS_TWICE)),
        (
            http_rounds.Plan(
                connections=1,
                script=Script(),
                seconds=9,
                calls=2,
                beside=(
                    http_rounds.Plan(
                        connections=1,
                        script=Script(request_bytes=100_000),
                        seconds=9,
                        calls=1,
                    ),
                ),
            ),
            (OURS_SLOW,),
        ),
    ],
    ids=["burst", "paced", "mixed"],
)
def test_a_scenario_over_http_loses_nothing(
    plan: http_rounds.Plan, relays: tuple[str, ...]
) -> None:
    """Every response arrives as it was sent, and every call is in the bundle, whole."""
    outcome = http_rounds.run(plan, [*installed(relays).values()], 1)
    assert outcome.faults == []
    assert outcome.dropped == {}
    assert [*outcome.rounds[0]] == [*relays, DIRECT]
    calls = plan.connections * (plan.calls or 0)
    assert {each.calls for each in outcome.rounds[0].values()} == {calls}
    assert {each.events for each in outcome.rounds[0].values()} == {calls * plan.script.events}


def test_a_window_counts_only_what_comes_within_it() -> None:
    """Streams that are open can be looked at without the cost of opening and ending them."""
    script = Script(stream=True, deltas=6, pace=0.1)
    plan = http_rounds.Plan(
        connections=1, script=script, seconds=1, calls=1, warm=0, window=(0.25, 0.45)
    )
    outcome = http_rounds.run(plan, [], 1)
    assert outcome.faults == []
    assert 1 <= outcome.rounds[0][DIRECT].events < script.deltas
    assert outcome.rounds[0][DIRECT].calls == 0


def test_a_contender_that_loses_something_has_no_result() -> None:
    """Another's fault is told and its row left out; the rest of the benchmark stands."""
    nowhere = replace(installed((PLAIN,))[PLAIN], name="deaf", start=_start_without_upstream)
    plan = http_rounds.Plan(connections=1, script=Script(), seconds=9, calls=1)
    outcome = http_rounds.run(plan, [nowhere], 1)
    assert outcome.faults == []
    assert [*outcome.rounds[0]] == [DIRECT]
    assert "answered b'HTTP/1.1 500" in outcome.dropped["deaf"]


def test_a_fault_of_ours_leaves_no_result() -> None:
    """We are not dropped from the table: a benchmark that lost our calls has none."""
    plain = installed((PLAIN,))[PLAIN]
    broken = replace(plain, name=OURS, start=_start_without_upstream, is_ours=True)
    plan = http_rounds.Plan(connections=1, script=Script(), seconds=9, calls=1)
    outcome = http_rounds.run(plan, [broken], 1)
    assert len(outcome.faults) == 1
    assert outcome.dropped == {}


def _start_without_upstream(
    _port: int, work_dir: Path, cores: Collection[int] | None
) -> tuple[Process, int]:
    process = Process.module("bench.bare_http", "1", work_dir=work_dir)
    return process, process.read_port()


def test_a_response_without_evidence_is_told(tmp_path: Path) -> None:
    """A benchmark that lost a call must not have a result."""
    faults = evidence_faults(tmp_path, {"resp_1": 7}, payload_bytes=100)
    assert faults == [
        "0 calls were started, of 1",
        "0 bytes of frames were captured, of 100",
        "1 responses have no terminal, resp_1 for one",
    ]
    assert record_faults(tmp_path, 1) == ["0 starts, of 1", "0 terminals, of 1"]


@pytest.mark.parametrize("wish", [BURST, PACED], ids=["at once", "paced"])
@pytest.mark.parametrize("chunk_bytes", [None, 1, 50, 10_000])
def test_a_response_is_whole_however_it_was_framed(wish: Script, chunk_bytes: int | None) -> None:
    """A relay may cut chunks anew, within a time or a name too."""
    response = HEAD + _rendered(wish, chunk_bytes)
    assert fault_in(response, wish, NAME) is None


@pytest.mark.parametrize("wish", [BURST, PACED], ids=["at once", "paced"])
@pytest.mark.parametrize(
    ("old", "new"),
    [(b"water", b"wafer"), (b'"delta":"The w0"', b'"delta":"The w1"'), (NAME, full_name("other"))],
)
def test_a_changed_response_is_told(wish: Script, old: bytes, new: bytes) -> None:
    """One byte that is not upstream's is a fault, wherever it stands."""
    framed = _rendered(replace(wish, delta_bytes=6 if b"delta" in old else 12), None)
    asked = replace(wish, delta_bytes=6 if b"delta" in old else 12)
    assert old in framed
    fault = fault_in(HEAD + framed.replace(old, new, 1), asked, NAME)
    assert fault is not None
    assert "is not the one that was sent" in fault


def test_a_refusal_is_told() -> None:
    """An answer that is no 200 is a fault."""
    assert fault_in(b"HTTP/1.1 502 Bad\r\n\r\n", BURST, NAME) == "answered b'HTTP/1.1 502 Bad'"


@pytest.mark.parametrize("framed", [b"3\r\nabc", b"3\r\nabcd\r\n0\r\n\r\n", b"x\r\n", b""])
def test_broken_chunks_are_no_body(framed: bytes) -> None:
    """What is cut off or framed wrongly raises."""
    with pytest.raises(ValueError, match=r"chunk|invalid literal|not found"):
        dechunked(framed)


def _rendered(wish: Script, chunk_bytes: int | None) -> bytes:
    now = stamp(123_456_789)
    if chunk_bytes is None:
        return script.framed_body(wish).replace(script.NAME, NAME).replace(script.STAMP, now)
    body = script.stream_body(wish).replace(script.NAME, NAME).replace(script.STAMP, now)
    pieces = [body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes)]
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"


def test_a_burst_is_what_the_goals_speak_of() -> None:
    """208 events and 67 KB."""
    burst = SCENARIOS["burst"].plan(1.0).script
    assert burst.events == 208
    assert 64_000 < script.body_size(burst) < 70_000


def test_work_and_wishes_survive_their_way() -> None:
    """What the load and upstream are asked for arrives as it was meant."""
    work = Work(port=1, run="r", connections=2, script=PACED, seconds=1.5, window=(1.0, 2.0))
    assert Work.from_json(work.to_json()) == replace(work, window=(1.0, 2.0))
    assert Script.wished(PACED.metadata(NAME)) == PACED


def test_figures_are_medians_of_rounds() -> None:
    """Ratios and differences are taken within a round, then their median."""
    rounds = [{"a": _run("a", cost), "b": _run("b", base)} for cost, base in PAIRS]
    assert ratio_of(rounds, "a", "b", us_per_call) == 2.0
    assert us_per_event(rounds[0]["a"]) == 1e6 / 20
    assert added_delay(rounds, "a", "b", lambda each: each.wall) == 0.0
    assert Delays.of([]) is None
    assert Delays.of(range(1_000_000, 101_000_000, 1_000_000)) == Delays(
        p50=51.0, p99=100.0, p999=100.0, most=100.0
    )


PAIRS = [(1.0, 1.0), (4.0, 2.0), (9.0, 3.0)]


def _run(relay: str, cpu: float) -> Run:
    return Run(
        relay=relay,
        calls=10,
        events=20,
        wall=1.0,
        relay_cpu=cpu,
        upstream_cpu=0.1,
        load_cpu=0.1,
        idle_kib=1024,
        held_kib=4096,
    )


def test_goals_are_told_as_met_or_not() -> None:
    """A goal whose relays did not run is not told."""
    rounds = [{"a": _run("a", cost), "b": _run("b", base)} for cost, base in PAIRS]
    wanted = [
        ratio_goal("a", "b", 2.0, us_per_call),
        ratio_goal("a", "b", 1.9, us_per_call),
        ratio_goal("a", "c", 1.9, us_per_call),
        growth_goal("a", 3.0),
        growth_goal("a", 28.0, for_each=200),
    ]
    assert goals(rounds, wanted).splitlines() == [
        "- CPU, a / b: 2.00; the goal, at most 2, is met",
        "- CPU, a / b: 2.00; the goal, at most 1.9, is **not met**",
        "- memory above idle, MiB: 3.00; the goal, at most 3, is met",
        "- memory above idle, KiB a stream: 15.36; the goal, at most 28, is met",
    ]


def test_an_unknown_contender_is_a_usage_error() -> None:
    """What can be compared is named."""
    done = CliRunner().invoke(main, ["burst", "--contenders", "apache"])
    assert done.exit_code == 2
    assert "no contender apache; there are tailrace, " in done.output


def test_the_command_prints_a_table() -> None:
    """One scenario, one relay, as it is called in a profile loop."""
    arguments = ["small", "--contenders", "tailrace", "--rounds", "1", "--seconds", "0.2"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "### small: " in done.output
    assert "| tailrace | " in done.output
