"""The page that tells of conformance has the tables that the cases make."""

from pathlib import Path

from .tables import tables

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_says_what_the_cases_show() -> None:
    """If it differs: `python -m tests.conformance.tables` prints what is to stand there."""
    page = (DOCS / "conformance.md").read_text()
    assert [table for table in tables() if f"\n\n{table}" not in page] == []
