"""Whatever a bundle holds, Codex's reducer takes its export, and says what ours says."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from reducer.export_codex import Selection
from tests.support.bundles import BundleBuilder
from tests.support.codex_cli import require_codex
from tests.support.exported import assert_export_agrees, exported_state
from tests.support.odd_bundles import odd_bundles

SELECTIONS = (Selection(), Selection(), Selection(thread_id="root"), Selection(call_id="c0"))


# Shrinking would run Codex's reducer a thousand times; the note shows the bundle instead.
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],  # bundles take time to make
)
@given(odd_bundles(), st.sampled_from(SELECTIONS))
def test_odd_bundles_export(bundle: BundleBuilder, selection: Selection) -> None:
    """An export is never refused, and its calls show the text that our state shows."""
    require_codex()
    with TemporaryDirectory() as directory:
        bundle.path = Path(directory) / "bundle"
        path = bundle.write()
        note(b"\n".join(bundle.lines).decode())
        note("\n".join(f"{name} {data.decode()}" for name, data in bundle.files.items()))
        assert_export_agrees(path, selection)


def test_too_deep_items_export(tmp_path: Path) -> None:
    """What nests deeper than Codex reads, with what an export puts around it or without, is cut."""
    bundle = BundleBuilder(tmp_path)
    bundle.turn("t")
    for number, levels in enumerate((*range(115, 130), 300)):
        deep = json.loads("[" * levels + "]" * levels)
        types = ("mcp_call", "shell_call_output", "function_call_output", "brand_new", "message")
        items = [{"type": kind, "output": deep, "content": deep} for kind in types]
        bundle.start(f"c{number}", "t", items)
        bundle.complete(f"c{number}", items, response_id=f"r{number}")
    state = exported_state(bundle.write())
    assert len(state["inference_calls"]) == 16


def test_bundle_without_events_exports(tmp_path: Path) -> None:
    """A bundle that a crash left with no event is one for Codex too."""
    state = exported_state(BundleBuilder(tmp_path, begun=False).write())
    assert state["inference_calls"] == {}
