"""A short soak in every run of the tests; `make soak` is the long one."""

from pathlib import Path

import pytest

from .soak import soak

# Some thousand calls: a leak of a few KiB a call is well above what memory varies by, and so is a
# descriptor left by one call in a hundred. What leaks more slowly is for `make soak`.
SECONDS = 40.0


@pytest.mark.timeout(180)
def test_every_call_is_accounted_for_and_nothing_grows(tmp_path: Path) -> None:
    """Sent by the load = received upstream = in the bundles, with faults of everybody's around."""
    report = soak(SECONDS, tmp_path)
    print(report)
    assert report.faults == [], str(report)
    assert report.outages
    assert report.bundles > 1
