"""Finds the real browser that the page is tried in: Debian's chromium."""

import os
import shutil
from pathlib import Path

import pytest


def find_chromium() -> Path | None:
    """The `chromium` executable: by TAILRACE_TEST_CHROMIUM or on PATH; else None."""
    named = os.environ.get("TAILRACE_TEST_CHROMIUM")
    found = named or shutil.which("chromium")
    return Path(found) if found else None


def require_chromium() -> Path:
    """The `chromium` executable; without one the test is skipped, or fails where CI is set."""
    chromium = find_chromium()
    if chromium is not None and chromium.exists():
        return chromium
    reason = "no chromium (TAILRACE_TEST_CHROMIUM, PATH)"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI must have it")
    pytest.skip(reason)
