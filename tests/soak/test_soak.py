"""A short soak in every run of the tests; `make soak` is the long one."""

from pathlib import Path

import pytest

from .soak import soak

# Some twenty thousand calls: a leak of 3 KiB a call is above what memory varies by, a descriptor
# that one call in a hundred leaves as well, and a lost call is seen at once. `make soak` sees
# slower leaks.
SECONDS = 120.0


@pytest.mark.timeout(300)
def test_every_call_is_accounted_for_and_nothing_grows(tmp_path: Path) -> None:
    """Sent by the load = received upstream = in the bundles, with faults of everybody's around."""
    report = soak(SECONDS, tmp_path)
    print(report)
    assert report.faults == [], str(report)
    assert report.outages
    assert report.bundles > 1
