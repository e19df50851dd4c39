"""Two calls, of which one goes on from the other, and what is said of its cached tokens."""

from pathlib import Path

from reducer import reduce_bundle
from reducer.cache import CacheReport, Change, Effect, explain_cache
from tests.reducer.items import assistant, function_call, function_output, user
from tests.support.bundles import BundleBuilder, Json

TOOLS: list[Json] = [{"type": "function", "name": "get_time", "parameters": {"type": "object"}}]
BODY: Json = {
    "model": "m",
    "instructions": "Be short. It is 10:01.",
    "tools": TOOLS,
    "reasoning": {"effort": "low"},
    "text": {"verbosity": "low"},
}
FIRST: list[object] = [user("a"), function_call("k", "{}"), function_output("k", "x")]


def usage(input_tokens: int, cached: int) -> Json:
    """Token counts as a response payload has them."""
    return {
        "input_tokens": input_tokens,
        "cached_input_tokens": cached,
        "output_tokens": 5,
        "reasoning_output_tokens": 0,
        "total_tokens": input_tokens + 5,
    }


class TwoCalls:
    """A call, and one that goes on from it in the same thread."""

    def __init__(self, path: Path) -> None:
        self.bundle = BundleBuilder(path)
        self.bundle.turn("t")

    def first(
        self,
        body: Json | None = None,
        *,
        items: list[object] | None = None,
        output: list[object] | None = None,
        tokens: Json | None = None,
    ) -> None:
        """The call before."""
        request = {**BODY, **(body or {}), "input": FIRST if items is None else items}
        self.bundle.start("c1", "t", request)
        output = [assistant("A")] if output is None else output
        tokens = tokens or usage(5000, 0)
        self.bundle.complete("c1", output, response_id="r1", usage=tokens)

    def second(
        self,
        body: Json | None = None,
        *,
        items: object = None,
        tokens: Json | None = None,
    ) -> CacheReport:
        """The call that goes on, and what is said of it."""
        items = [*FIRST, assistant("A"), user("b")] if items is None else items
        self.bundle.start("c2", "t", {**BODY, **(body or {}), "input": items})
        self.bundle.complete("c2", [assistant("B")], usage=tokens or usage(5100, 0))
        return self.report("c2")

    def report(self, call: str) -> CacheReport:
        """What is said of a call."""
        path = self.bundle.write()
        return explain_cache(path, reduce_bundle(path), call)


def prompt_change(reason: str, pointer: str, what: str) -> Change:
    """A change that makes the prompt another one."""
    return Change(reason=reason, effect=Effect.PROMPT, pointer=pointer, what=what)
