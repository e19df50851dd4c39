"""When a client did not take what it was sent: the total, and the longest stretches."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.blocked_stretches import STRETCH_NS_MIN, STRETCHES_MAX, BlockedStretches

PAUSES = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=80)
"""How long the client took all, and then how long nothing, in nanoseconds."""


@given(pauses=PAUSES)
def test_longest_stretches_are_kept_in_order_and_all_are_counted(
    pauses: list[tuple[int, int]],
) -> None:
    """What is left out is never longer than what is kept; the total leaves out nothing."""
    blocked = BlockedStretches()
    now_ns, all_of_them = 0, []
    for free_ns, blocked_ns in pauses:
        began_ns = now_ns + free_ns
        now_ns = began_ns + blocked_ns
        blocked.begin(began_ns)
        assert blocked.is_open
        blocked.end(now_ns)
        all_of_them.append((began_ns, now_ns))
    kept = blocked.longest()
    lengths = sorted((end - begun for begun, end in all_of_them), reverse=True)
    worth_it = [length for length in lengths if length >= STRETCH_NS_MIN][:STRETCHES_MAX]
    assert sorted((end - begun for begun, end in kept), reverse=True) == worth_it
    assert set(kept) <= set(all_of_them)
    assert kept == tuple(sorted(kept))
    assert blocked.total_ns == sum(lengths)


def test_end_without_a_beginning_is_none() -> None:
    """The end of a response is told whether or not its client was waited for."""
    blocked = BlockedStretches()
    blocked.end(10**9)
    assert (blocked.total_ns, blocked.longest(), blocked.is_open) == (0, (), False)
