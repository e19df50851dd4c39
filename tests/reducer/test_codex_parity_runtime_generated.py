"""Generated courses of tools, cells, terminals and agents reduce as Codex reduces them."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings

from tests.reducer.runtime_courses import courses
from tests.support.codex_cli import require_codex
from tests.support.parity import assert_same, reduce_both
from tests.support.runtime_bundles import RuntimeBuilder

EXAMPLES = 330
ACCEPTED_MIN = 300
"""Codex refuses some courses; of so many it must have said something to compare with."""


def test_generated_courses() -> None:
    """Both reducers say the same of whatever Codex's accepts, and ours raises for none."""
    require_codex()
    accepted: Counter[bool] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],  # bundles take time to make
    )
    @given(courses())
    def check(bundle: RuntimeBuilder) -> None:
        with TemporaryDirectory() as directory:
            bundle.path = Path(directory) / "bundle"
            ours, theirs = reduce_both(bundle.write())
        accepted[isinstance(theirs, dict)] += 1
        if isinstance(theirs, dict):
            assert_same(ours, theirs)

    check()
    assert accepted[True] >= ACCEPTED_MIN, accepted
