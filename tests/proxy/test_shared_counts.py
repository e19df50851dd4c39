"""Counts of several processes: sums that never go back, whoever dies and whoever is asked."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.metrics import Metrics, note_death, note_restart
from proxy.shared_counts import COUNTS_MAX, NAME_BYTES, SharedCounts

WORKERS = 3
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)


def samples(metrics: Metrics, **lost: int) -> dict[str, float]:
    """The samples of the page that this worker gives."""
    lines = metrics.exposition(lost).decode().splitlines()
    parts = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in parts}


@given(
    st.lists(st.tuples(st.integers(0, WORKERS - 1), NAMES, st.integers(0, 2**40), st.booleans()))
)
def test_sum_is_that_of_all_that_was_ever_counted(
    steps: list[tuple[int, str, int, bool]],
) -> None:
    """Whichever worker counts, under any name, also if it dies and another takes its place."""
    shared = SharedCounts(WORKERS)
    pages = [shared.page(number) for number in range(WORKERS)]
    expected: dict[str, int] = {}
    for number, name, amount, dies in steps:
        pages[number].set(name, pages[number].get(name) + amount)
        expected[name] = expected.get(name, 0) + amount
        if dies:
            pages[number] = shared.page(number)
    assert {name: count for name, count in shared.total().items() if count} == {
        name: count for name, count in expected.items() if count
    }


def test_page_that_is_full_keeps_what_it_has() -> None:
    """One name too many is not kept, and spoils neither the others nor the next page."""
    shared = SharedCounts(2)
    page, other = shared.page(0), shared.page(1)
    for number in range(COUNTS_MAX + 5):
        page.set(f"name {number}", number)
    assert other.counts() == {}
    assert page.counts() == {f"name {number}": number for number in range(COUNTS_MAX)}
    assert shared.page(0).counts() == page.counts()


def test_long_name_is_cut_and_spoils_no_count() -> None:
    """A name that fills its place, or is longer, runs into no number."""
    shared = SharedCounts(1)
    shared.page(0).set("x" * NAME_BYTES * 2, 7)
    assert shared.total() == {"x" * NAME_BYTES: 7}


def test_every_worker_tells_the_sum() -> None:
    """What one counts is on the page of each."""
    shared = SharedCounts(WORKERS)
    one, two = Metrics(shared, page=1), Metrics(shared, page=2)
    one.requests["2xx"] += 2
    two.requests["2xx"] += 1
    two.requests["5xx"] += 1
    two.calls["completed"] += 3
    one.open_exchanges += 1
    two.open_exchanges += 1
    note_restart(shared, 0)
    assert samples(one) == samples(two)
    assert samples(one) == {
        'tailrace_requests_total{status="2xx"}': 3,
        'tailrace_requests_total{status="5xx"}': 1,
        'tailrace_calls_total{terminal="completed"}': 3,
        "tailrace_worker_restarts_total": 1,
        "tailrace_open_exchanges": 2,
    }


def test_losses_add_up_over_workers_and_their_successors() -> None:
    """A recorder tells its losses since its process began; the page has all since the start."""
    shared = SharedCounts(WORKERS)
    one, two = Metrics(shared, page=1), Metrics(shared, page=2)
    two.note_lost({"calls": 1})
    assert samples(one, calls=5)['tailrace_lost_total{what="calls"}'] == 6
    assert samples(one, calls=7)['tailrace_lost_total{what="calls"}'] == 8
    successor = Metrics(shared, page=1)
    assert samples(successor)['tailrace_lost_total{what="calls"}'] == 8
    assert samples(successor, calls=1)['tailrace_lost_total{what="calls"}'] == 9


def test_what_a_dead_worker_had_open_is_open_no_longer() -> None:
    """The one gauge goes back when its worker dies, and no counter does."""
    shared = SharedCounts(WORKERS)
    dead, alive = Metrics(shared, page=1), Metrics(shared, page=2)
    dead.open_exchanges += 4
    dead.calls["failed"] += 1
    alive.open_exchanges += 1
    note_death(shared, 1)
    assert samples(alive)["tailrace_open_exchanges"] == 1
    assert samples(alive)['tailrace_calls_total{terminal="failed"}'] == 1
