"""The benchmark of reading runs on a few calls, and its bundles are as the recorder's."""

from pathlib import Path

import pytest

from bench import many_calls, reading
from reducer import reduce_bundle
from tracing.verify import verify


def test_it_measures_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every figure is there, and what was kept is read again by the next run."""
    monkeypatch.setattr(reading, "COMMANDS", (("ls",),))
    for _ in range(2):
        reading.main(["40", "--keep", str(tmp_path), "--runs", "1"])
        told = capsys.readouterr().out
        for what in ("index, calls a second", "refresh, nothing new", "stats", "tailrace ls"):
            assert f"| {what} " in told
    assert len(list(tmp_path.glob("trace-*"))) == 1


def test_its_bundles_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have as many calls as asked for, with no damage and every ending."""
    monkeypatch.setattr(many_calls, "CALLS_PER_BUNDLE", 150)
    bundles = many_calls.write_traces(tmp_path, 200)
    assert len(bundles) == 2
    statuses: list[str] = []
    for bundle in bundles:
        assert verify(bundle).is_whole
        state = reduce_bundle(bundle)
        diagnostics, calls = state["diagnostics"], state["inference_calls"]
        assert isinstance(diagnostics, list)
        assert isinstance(calls, dict)
        # What follows a call that failed goes on from the same response as that one.
        assert {each["code"] for each in diagnostics} <= {"forked_previous_response"}
        statuses += [call["execution"]["status"] for call in calls.values()]
    assert len(statuses) == 200
    assert set(statuses) == {"completed", "failed", "cancelled"}
