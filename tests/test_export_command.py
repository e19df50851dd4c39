"""`tailrace export`, as a user meets it."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tailrace import main
from tests.support.bundles import BundleBuilder, message
from tests.support.codex_cli import codex_reduces, require_codex


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings come from nowhere but the command line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("proxy.settings_sources.settings_warnings", list)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A trace directory with one bundle of two calls, of which Codex refuses the second."""
    bundle = BundleBuilder(tmp_path / "traces" / "trace-1")
    (tmp_path / "traces").mkdir()
    bundle.turn("t")
    bundle.start("call-1", "t", [message("user", "Hi")])
    bundle.complete("call-1", [message("assistant", "Hello")], response_id="resp_1")
    bundle.start("call-2", "t", {"input": "Again", "previous_response_id": "resp_1"})
    bundle.write()
    return tmp_path / "traces"


def export(traces: Path, selector: str | Path, output: Path, *, form: str = "codex") -> Result:
    """Run the command in this process."""
    where = ["--trace-dir", str(traces)]
    args = ["export", str(selector), "--format", form, "-o", str(output), *where]
    return CliRunner().invoke(main, args)


def exported_calls(bundle: Path) -> list[str]:
    """The calls whose starts a bundle tells of."""
    lines = (bundle / "trace.jsonl").read_bytes().splitlines()
    payloads = [json.loads(line)["payload"] for line in lines]
    return [p["inference_call_id"] for p in payloads if p["type"] == "inference_started"]


@pytest.mark.parametrize(
    ("selector", "calls"),
    [("last", ["call-2"]), ("resp_1", ["call-1"]), ("root", ["call-1", "call-2"])],
)
def test_selected_part_is_exported(traces: Path, selector: str, calls: list[str]) -> None:
    """A call or a thread of any bundle of the trace directory."""
    output = traces.parent / "out"
    done = export(traces, selector, output)
    assert (done.exit_code, done.output) == (0, "")
    assert exported_calls(output) == calls
    assert isinstance(codex_reduces(require_codex(), output, traces.parent / "s.json"), dict)


def test_bundle_is_exported_for_its_owner_only(traces: Path) -> None:
    """A directory is exported whole; the files are as private as a bundle's."""
    output = traces.parent / "out"
    assert export(traces, traces / "trace-1", output).exit_code == 0
    assert exported_calls(output) == ["call-1", "call-2"]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [output, *output.rglob("*")]}
    assert modes == {0o700, 0o600}
    assert [path.name for path in traces.parent.iterdir()].count("out") == 1
    assert sorted(path.name for path in traces.parent.iterdir()) == ["out", "traces"]


def test_what_is_there_is_not_written_over(traces: Path) -> None:
    """Whatever stands at PATH stays as it is."""
    output = traces.parent / "out"
    output.mkdir()
    done = export(traces, "last", output)
    assert (done.exit_code, done.output) == (1, f"tailrace: {output} is there already\n")
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("selector", ["nowhere", "call-"])
def test_no_match_or_several(traces: Path, selector: str) -> None:
    """The message names the selector and where it was looked for; nothing is written."""
    done = export(traces, selector, traces.parent / "out")
    assert done.exit_code == 1
    assert repr(selector) in done.output
    assert str(traces) in done.output
    assert not (traces.parent / "out").exists()


def test_directory_that_is_no_bundle(traces: Path) -> None:
    """A directory without an event log cannot be exported."""
    done = export(traces, traces, traces.parent / "out")
    assert done.exit_code == 1
    assert "no trace.jsonl" in done.output


def test_place_that_cannot_be_written(traces: Path) -> None:
    """A directory that is not there is told, and not made."""
    done = export(traces, "last", traces.parent / "missing" / "out")
    assert done.exit_code == 1
    assert "cannot be written" in done.output


def test_format_that_is_not_there(traces: Path) -> None:
    """A format that cannot be written is a usage error, which names those that can."""
    done = export(traces, "last", traces.parent / "out", form="har")
    assert done.exit_code == 2
    assert "codex" in done.output


def test_bundle_in_order_is_exported_as_it_stands(traces: Path) -> None:
    """A bundle that Codex takes comes out as it was, event for event."""
    bundle = BundleBuilder(traces / "trace-2")
    bundle.turn("t")
    bundle.start("call", "t", [message("user", "Hi")])
    bundle.complete("call", [message("assistant", "Hello")], response_id="resp_1")
    bundle.end()
    bundle.write()
    assert export(traces, traces / "trace-2", traces.parent / "out").exit_code == 0
    events = (traces.parent / "out" / "trace.jsonl").read_bytes().splitlines()
    assert [json.loads(line) for line in events] == [json.loads(line) for line in bundle.lines]
