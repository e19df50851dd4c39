"""Fixtures of the reducer's tests."""

from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle with its root thread begun."""
    return BundleBuilder(tmp_path / "bundle")
