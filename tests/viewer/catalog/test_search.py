"""Searching in texts: whose words, in which order, and that a search text is never syntax."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.call_rows import call_row
from tests.support.catalog_rows import CatalogRows
from viewer.catalog.catalog import Catalog
from viewer.catalog.conditions import words_expression
from viewer.catalog.queries import EXCERPT_CHARACTERS_MAX, find_calls, search
from viewer.catalog.rows import CallFilter, Hit

TEXTS = {
    1: "The quick brown fox jumps over the lazy dog",
    2: "Quick: brown snake_case foxes, and 100 naïve Cafés",
    3: 'He said "NEAR the OR fox" AND left (quick*)',
    4: "quick " + "x" * 5000 + " brown",
    5: "我们今天 走吧",
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """A catalog of a call for each text, of which the third failed."""
    rows = CatalogRows(tmp_path_factory.mktemp("traces"))
    for call, text in TEXTS.items():
        rows.add(call_row(call, status="failed" if call == 3 else "completed"))
        rows.add_text(call, text, side="response" if call == 2 else "request", label="user")
    with rows.catalog:
        yield rows.catalog


def found(catalog: Catalog, text: str, wanted: CallFilter | None = None) -> list[int]:
    """The calls of the hits, in their order; a list of calls by this text has them as well."""
    hits = search(catalog, text, wanted or CallFilter(), limit=9)
    if wanted is None:
        calls = {call.id for call in find_calls(catalog, CallFilter(text=text), limit=9)}
        assert calls == {hit.call.id for hit in hits}
    return [hit.call.id for hit in hits]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("quick", [4, 3, 2, 1]),
        ("QUICK brown", [2, 1]),
        ("quick, brown!", [2, 1]),
        ("brown quick", []),
        ("quick bro", [2, 1]),
        ("quick bro ", []),
        ("qui brown", []),
        ("snake_ca", [2]),
        ("case", []),
        ("naive cafes", [2]),
        ("100", [2]),
        ("q", []),
        ("今天", []),
        ("我", [5]),
        ('"near', [3]),
        ("NEAR the OR", [3]),
        ("fox AND", [3]),
        ("fox OR", []),
        ("fo*", [3, 2, 1]),
        ("text:fox", []),
        ("fox\0dog", []),
        ("fox\0", [3, 1]),
        ("\ud800 fox", [3, 2, 1]),
    ],
)
def test_words_are_found_in_their_order(catalog: Catalog, text: str, calls: list[int]) -> None:
    """Without case and accents; the last one may be begun only, unless something follows it."""
    assert found(catalog, text) == calls


@pytest.mark.parametrize("text", ["", " ", "!?", "\0", '"', "\ud800", "*", "\ue000"])
def test_text_without_a_word_is_found_nowhere(catalog: Catalog, text: str) -> None:
    """It is no search for everything, and can be told."""
    assert words_expression(text) is None
    assert found(catalog, text) == []


@given(text=st.text(max_size=30) | st.from_regex(r"[\"*^():+\-{}a-c ANDORNOT]{0,12}"))
def test_no_text_is_syntax(catalog: Catalog, text: str) -> None:
    """Whatever is typed, it is words or none, and never an error."""
    found(catalog, text)


def test_filter_holds_of_the_calls(catalog: Catalog) -> None:
    """A hit is one of a call that is wanted."""
    assert found(catalog, "quick", CallFilter(statuses=frozenset({"failed"}))) == [3]
    assert found(catalog, "quick", CallFilter(text="snake_case")) == [2]


def test_hits_follow_each_other(catalog: Catalog) -> None:
    """Page after page, the latest text first."""
    first = search(catalog, "quick", CallFilter(), limit=3)
    assert [hit.call.id for hit in first] == [4, 3, 2]
    (rest,) = search(catalog, "quick", CallFilter(), limit=3, after=first[-1].id)
    assert rest.call.id == 1


def hit_of(catalog: Catalog, text: str, call: int) -> Hit:
    """The hit in a call."""
    hits = search(catalog, text, CallFilter(), limit=9)
    return next(hit for hit in hits if hit.call.id == call)


def test_hit_shows_where_it_was_found(catalog: Catalog) -> None:
    """Who said it on which side, and the words between marks."""
    hit = hit_of(catalog, "quick brown", 2)
    assert (hit.side, hit.label) == ("response", "user")
    assert hit.excerpt.startswith("\ue000Quick: brown\ue001 snake_case foxes")


def test_excerpt_is_of_bounded_length(catalog: Catalog) -> None:
    """A word may be as long as an image; what was found is in sight, and its mark has an end."""
    hit = hit_of(catalog, "brown", 4)
    assert hit.excerpt.endswith("x \ue000brown\ue001…")
    assert len(hit.excerpt) <= EXCERPT_CHARACTERS_MAX + 3
    hit = hit_of(catalog, "xxx", 4)
    assert hit.excerpt.startswith("quick \ue000xxx")
    assert hit.excerpt.endswith("x\ue001…")


def test_hits_are_read_off_the_index(catalog: Catalog) -> None:
    """However many texts have a common word, a page of hits needs no sorting."""
    statements: list[str] = []
    catalog.connection.set_trace_callback(statements.append)
    search(catalog, "quick", CallFilter(statuses=frozenset({"failed"})), limit=5)
    catalog.connection.set_trace_callback(None)
    (statement,) = (text for text in statements if text.startswith("SELECT c."))
    steps = [step for *_, step in catalog.connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert steps[0].startswith("SCAN texts VIRTUAL TABLE")
    assert not any("TEMP B-TREE" in step for step in steps)
