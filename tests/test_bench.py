"""The benchmark runs, and what it runs is complete; how fast it is, no test says."""

from pathlib import Path

from bench.evidence import evidence_faults
from bench.websocket import Plan, run


def test_the_websocket_scenario_loses_nothing() -> None:
    """Every frame arrives in order, and every response is in the bundle, whole."""
    plan = Plan(rounds=1, sockets=2, responses=2, deltas=3, pace=0.001, settle=0.0, nginx=False)
    report, faults = run(plan)
    assert faults == []
    assert "| tailrace |" in report
    assert "| nginx |" not in report


def test_a_response_without_evidence_is_told(tmp_path: Path) -> None:
    """A benchmark that lost a call must not have a result."""
    faults = evidence_faults(tmp_path, {"resp_1": 7}, payload_bytes=100)
    assert faults == [
        "0 calls were started, of 1",
        "0 bytes of frames were captured, of 100",
        "1 responses have no terminal, resp_1 for one",
    ]
