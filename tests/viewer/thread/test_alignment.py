"""Two inputs are aligned item by item: nothing is lost, and what is alike is found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reducer.items import assistant, function_call, function_output, user
from viewer.thread.alignment import Pair, align
from viewer.thread.comparison_view import Sameness

ITEMS = [
    *[user("a"), user("b"), user("c"), assistant("A"), assistant("B")],
    *[function_call("k", "{}"), function_output("k", "x"), "no object", None],
]
item_lists = st.lists(st.sampled_from(ITEMS), max_size=12)

E, C, A, R = Sameness.EQUAL, Sameness.CHANGED, Sameness.ADDED, Sameness.REMOVED


@settings(max_examples=200, deadline=None)
@given(before=item_lists, after=item_lists, cells_max=st.sampled_from([0, 10, 1_000]))
def test_each_item_is_told_once_in_its_order(
    before: list[object], after: list[object], cells_max: int
) -> None:
    """Both inputs can be put together again, and what is said to be equal is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("viewer.thread.alignment.CELLS_MAX", cells_max)
        pairs, is_complete = align(before, after)
    assert [pair.before for pair in pairs if pair.before is not None] == [*range(len(before))]
    assert [pair.after for pair in pairs if pair.after is not None] == [*range(len(after))]
    for sameness, old, new in pairs:
        assert (old is None) is (sameness is A)
        assert (new is None) is (sameness is R)
        if old is not None and new is not None:
            assert (before[old] == after[new]) is (sameness is E)
    assert is_complete or cells_max < 1_000
    if before == after:
        assert all(pair.sameness is E for pair in pairs)


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        (
            [user("a")],
            [user("a"), assistant("A"), user("b")],
            [(E, 0, 0), (A, None, 1), (A, None, 2)],
        ),
        ([user("a"), user("b")], [user("a"), user("x")], [(E, 0, 0), (C, 1, 1)]),
        ([user("a"), user("z")], [user("z")], [(R, 0, None), (E, 1, 0)]),
        ([user("a")], [assistant("A")], [(A, None, 0), (R, 0, None)]),
        (
            [function_call("k", "{}"), function_output("k", "x"), user("z")],
            [function_output("k", "y"), user("z")],
            [(R, 0, None), (C, 1, 0), (E, 2, 1)],
        ),
    ],
)
def test_what_became_of_items(before: list[object], after: list[object], pairs: list[Pair]) -> None:
    """One that changed goes with the next one of its kind; ids and states do not count."""
    assert align(before, after).pairs == pairs


def test_ids_states_and_spelling_do_not_count() -> None:
    """A client sends back what it was given with more or less around it."""
    said = {**assistant("A"), "id": "msg_1", "status": "completed"}
    plain = {"role": "assistant", "content": "A"}
    assert align([said], [plain]).pairs == [(E, 0, 0)]
