"""Whatever a bundle holds, Codex's reducer takes its export, and says what ours says."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from reducer.export_codex import Selection
from tests.support.bundles import BundleBuilder
from tests.support.codex_cli import require_codex
from tests.support.exported import assert_export_agrees
from tests.support.odd_bundles import odd_bundles

SELECTIONS = (Selection(), Selection(), Selection(thread_id="root"), Selection(call_id="c0"))


# Shrinking would run Codex's reducer a thousand times; the note shows the bundle instead.
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
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
