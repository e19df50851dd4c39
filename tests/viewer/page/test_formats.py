"""How texts are written on the page, where they are cut."""

import pytest

from viewer.page.formats import beginning


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("twenty characters !!", "twenty characters !!"),
        ("Find it in the cart. Then fix it.", "Find it in the…"),
        ("Look in cart, or in the basket", "Look in cart, or in…"),
        ("Look in the cart. Then mend it", "Look in the cart…"),
        ("a " + "b" * 30, "a " + "b" * 17 + "…"),
        ("b" * 30, "b" * 19 + "…"),
    ],
)
def test_long_text_is_cut_behind_a_word(text: str, shown: str) -> None:
    """With one sign, and no full stop before it; a word that is too long is cut itself."""
    assert beginning(text, 20) == shown
