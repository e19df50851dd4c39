"""The debugging session of the sample traces: what a coding agent asked, and what it was told."""

from dataclasses import dataclass

from .sample_answers import Answer, Calling, Part, Saying, Thinking

MODEL = "gpt-5.5"
INSTRUCTIONS = """\
You are a coding agent in the repository of a small web shop.
Find the cause before you change anything. Keep public signatures. Run the tests after each change.
Say what you did in a few plain sentences."""

TOOLS = [
    {
        "type": "function",
        "name": name,
        "description": does,
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {argument: {"type": "string"}},
            "required": [argument],
            "additionalProperties": False,
        },
    }
    for name, does, argument in (
        ("shell", "Run a command in the repository and return its output.", "command"),
        ("read_file", "Return a file of the repository.", "path"),
        ("apply_patch", "Apply a patch to the repository.", "patch"),
    )
]

FAILED_TEST = """\
F
=================================== FAILURES ===================================
_____________________ test_discount_is_rounded_half_up[19.95] __________________

    def test_discount_is_rounded_half_up(price: float) -> None:
        cart = Cart([Line("mug", price=19.95, count=1)])
>       assert cart.total(discount=0.15) == 16.96
E       assert 16.95 == 16.96

tests/test_cart.py:41: AssertionError
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_discount_is_rounded_half_up[19.95]
1 failed, 11 passed in 0.38s"""

CART = '''\
"""What a customer is about to buy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    article: str
    price: float
    count: int


class Cart:
    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines

    def total(self, discount: float = 0.0) -> float:
        """The sum, less the discount, in euros."""
        full = sum(line.price * line.count for line in self.lines)
        return round(full * (1 - discount), 2)
'''

EXPLAINED = """\
The test is right and `Cart.total` is wrong, in two ways that add up:

1. `19.95 * 0.85` is 16.9575 on paper, but the nearest binary float is **16.957499999999999**.
2. `round()` rounds half to even, so even an exact half would not always go up.

Nothing changed in the shop since yesterday. CI moved to Python 3.13, whose `sum()` of floats is
more precise: before, two errors happened to cancel.

I would compute in `Decimal` inside `total` and convert once at the end:

```python
amount = Decimal(str(full)) * (1 - Decimal(str(discount)))
return float(amount.quantize(CENT, rounding=ROUND_HALF_UP))
```

The signature stays as it is. Shall I?"""

PATCH = """\
*** Begin Patch
*** Update File: shop/cart.py
@@
-from dataclasses import dataclass
+from dataclasses import dataclass
+from decimal import ROUND_HALF_UP, Decimal
+
+CENT = Decimal("0.01")
@@
-        full = sum(line.price * line.count for line in self.lines)
-        return round(full * (1 - discount), 2)
+        full = sum(Decimal(str(line.price)) * line.count for line in self.lines)
+        amount = full * (1 - Decimal(str(discount)))
+        return float(amount.quantize(CENT, rounding=ROUND_HALF_UP))
*** End Patch"""

SHIPPING = """\
shop/shipping.py:27:    return round(weight * RATE[zone], 2)
shop/shipping.py:52:    surcharge = round(base * 0.07, 2)
shop/vouchers.py:18:    return round(price * share, 2)"""


@dataclass(frozen=True, slots=True)
class Round:
    """One call of the session: the answer that it goes on from, what is new, and what comes.

    `asked` is a user's text, or the output of the tool that the answer before called.
    """

    after: str | None
    asked: str
    answer: Answer
    instructions: str = INSTRUCTIONS


def _answer(name: str, tokens: tuple[int, int, int, int], *parts: Part) -> Answer:
    return Answer(name=name, parts=parts, tokens=tokens, fields={"model": MODEL})


ROUNDS = (
    Round(
        None,
        "test_discount_is_rounded_half_up fails on CI since this morning: expected 16.96, got"
        " 16.95. Nobody touched the cart. Find out why before you change anything.",
        _answer(
            "fix 1",
            (1288, 0, 118, 64),
            Thinking(
                "**Looking at the failure first**\n\nThe user wants the cause, not a fix. I run"
                " the test on its own and then read what it covers."
            ),
            Calling("shell", {"command": "pytest tests/test_cart.py -x -q"}),
        ),
    ),
    Round(
        "fix 1",
        FAILED_TEST,
        _answer("fix 2", (1706, 1280, 31, 0), Calling("read_file", {"path": "shop/cart.py"})),
    ),
    Round(
        "fix 2",
        CART,
        _answer(
            "fix 3",
            (2094, 1664, 402, 192),
            Thinking(
                "**Checking the arithmetic**\n\n19.95 x 0.85 = 16.9575. As a binary float it lies"
                " a little below, so round() goes down. It passed before, so something else"
                " changed: Python 3.13 or the runner's image."
            ),
            Saying(EXPLAINED),
        ),
    ),
    Round(
        "fix 3",
        "Yes, with Decimal. Keep the signature.",
        _answer("fix 4", (2531, 2048, 236, 0), Calling("apply_patch", {"patch": PATCH})),
    ),
    Round(
        "fix 4",
        "Done. 1 file changed, 6 insertions(+), 2 deletions(-)",
        _answer("fix 5", (2801, 2432, 27, 0), Calling("shell", {"command": "pytest -q"})),
    ),
    Round(
        "fix 5",
        "148 passed in 4.02s",
        _answer(
            "fix 6",
            (2860, 2816, 88, 0),
            Saying(
                "Done: `Cart.total` computes in `Decimal` and rounds half up, once, at the end."
                " All 148 tests pass. The signature did not change."
            ),
        ),
    ),
    Round(
        "fix 6",
        "Could the same happen elsewhere?",
        _answer(
            "fix 7",
            (2971, 2816, 74, 32),
            Thinking("**Searching for the pattern**\n\nEvery round(..., 2) on money is suspect."),
            Calling("shell", {"command": "grep -rn 'round(' shop/"}),
        ),
    ),
    Round(
        "fix 7",
        SHIPPING,
        _answer(
            "fix 8",
            (3120, 2944, 131, 0),
            Saying(
                "Yes, in three places: `shipping.py:27`, `shipping.py:52` and `vouchers.py:18`."
                " The voucher is the one that customers see. I would move `CENT` and the rounding"
                " to `shop/money.py` and use it in all four."
            ),
        ),
    ),
    Round(
        "fix 3",
        "Wait. Can we leave the floats and add half a cent before rounding instead?",
        _answer(
            "fix 4, other way",
            (2548, 0, 143, 64),
            Thinking("**Weighing the shortcut**\n\nAdding an epsilon moves the error, no more."),
            Saying(
                "It would turn this test green and break another: 16.9549 plus 0.005 gives 16.96,"
                " a cent too much. An error that is hidden costs more than one that is seen."
                " I advise against it."
            ),
        ),
        # What misses the prompt cache each time: a clock in the instructions.
        instructions=INSTRUCTIONS.replace("small web shop.", "small web shop. It is 14:05:21 now."),
    ),
)
