"""Why the prompt cache was missed: what changed since the call before, and what it cost."""

import json
from pathlib import Path

import pytest

from reducer.cache import Change, Effect, Verdict
from tests.reducer.items import assistant, user
from tests.reducer.two_calls import BODY, FIRST, TOOLS, TwoCalls, prompt_change, usage
from tests.support.bundles import Json


@pytest.fixture
def two(tmp_path: Path) -> TwoCalls:
    """A bundle with a turn begun."""
    return TwoCalls(tmp_path)


def test_same_prompt_that_grew_was_cached(two: TwoCalls) -> None:
    """Nothing changed, and what the call before had sent was read from the cache."""
    two.first()
    report = two.second(tokens=usage(5100, 4992))
    assert report.verdict is Verdict.CACHED
    assert (report.input_tokens, report.cached_tokens, report.uncached_tokens) == (5100, 4992, 108)
    assert (report.before, report.before_input_tokens, report.since_before_ms) == ("c1", 5000, 10)
    assert (report.is_compared, report.changes, report.first_change) == (True, (), None)
    assert report.first_new_item == "/input/3"
    assert report.possible == ()


CHANGES: list[tuple[Json, Json, Change]] = [
    (
        {},
        {"model": "n"},
        prompt_change("model_changed", "/model", 'from character 0: "m" became "n"'),
    ),
    (
        {},
        {"instructions": "Be short. It is 10:02."},
        prompt_change(
            "instructions_changed",
            "/instructions",
            'from character 20: "Be short. It is 10:01." became "Be short. It is 10:02."',
        ),
    ),
    (
        {},
        {"tools": [*TOOLS, {"type": "web_search"}]},
        prompt_change("tools_changed", "/tools/1", "web_search is new"),
    ),
    (
        {"tools": [*TOOLS, {"type": "web_search"}]},
        {"tools": [{"type": "web_search"}, *TOOLS]},
        prompt_change("tools_changed", "/tools", "the same 2 stand in another order"),
    ),
    (
        {},
        {"tools": [dict(reversed(list(TOOLS[0].items())))]},
        prompt_change("tools_changed", "/tools/0", "the keys stand in another order"),
    ),
    (
        {},
        {"tools": None},
        prompt_change("tools_changed", "/tools/0", "function get_time is gone"),
    ),
    (
        {},
        {"parallel_tool_calls": False},
        prompt_change("parallel_tool_calls_changed", "/parallel_tool_calls", "true became false"),
    ),
    (
        {},
        {"text": {"verbosity": "low", "format": {"type": "json_object"}}},
        prompt_change(
            "text_format_changed",
            "/text/format/type",
            'from character 0: "text" became "json_object"',
        ),
    ),
    (
        {},
        {"text": {"verbosity": "high"}},
        prompt_change(
            "verbosity_changed", "/text/verbosity", 'from character 0: "low" became "high"'
        ),
    ),
    (
        {},
        {"reasoning": {"effort": "high"}},
        prompt_change(
            "reasoning_effort_changed", "/reasoning/effort", 'from character 0: "low" became "high"'
        ),
    ),
    (
        {},
        {"prompt": {"id": "p"}},
        prompt_change("prompt_changed", "/prompt", 'null became {"id":"p"}'),
    ),
    (
        {},
        {"context_management": [{"type": "compaction"}]},
        prompt_change(
            "context_management_changed",
            "/context_management",
            'null became [{"type":"compaction"}]',
        ),
    ),
]


@pytest.mark.parametrize(("was", "now", "change"), CHANGES)
def test_setting_that_is_part_of_the_prompt(
    two: TwoCalls, was: Json, now: Json, change: Change
) -> None:
    """Each setting that OpenAI's guide lists, where it stands and what became of it."""
    two.first(was)
    report = two.second(now)
    assert report.changes == (change,)
    assert report.first_change == change
    assert report.verdict is Verdict.NOT_CACHED
    assert report.possible == ()


@pytest.mark.parametrize(
    "body",
    [
        {"parallel_tool_calls": True, "service_tier": "auto"},
        {"text": {"verbosity": "low", "format": {"type": "text"}}},
        {"temperature": 0.2, "top_p": 0.5, "max_output_tokens": 10, "metadata": {"a": "b"}},
        {
            "tool_choice": "none",
            "store": False,
            "stream": True,
            "include": [],
            "truncation": "auto",
        },
        {"prompt_cache_options": {"comparison_response_id": "r1"}},
    ],
)
def test_setting_that_is_no_part_of_the_prompt(two: TwoCalls, body: Json) -> None:
    """Defaults that are spelled out, and how to sample and answer, change no prompt."""
    two.first()
    assert two.second(body).changes == ()


def test_model_comes_first(two: TwoCalls) -> None:
    """Of several changes the first is told, and the others too."""
    two.first()
    report = two.second(
        {"model": "n", "instructions": "Other.", "prompt_cache_key": "k"}, items=[user("z")]
    )
    assert [change.reason for change in report.changes] == [
        "model_changed",
        "prompt_cache_key_changed",
        "instructions_changed",
        "input_changed",
    ]
    assert report.first_change is report.changes[0]


def test_other_cache_is_asked(two: TwoCalls) -> None:
    """A key or a tier leaves the prompt as it was, so that there may be other causes too."""
    two.first({"prompt_cache_key": "k1"})
    report = two.second({"prompt_cache_key": "k2", "service_tier": "flex"})
    assert [(change.reason, change.effect) for change in report.changes] == [
        ("service_tier_changed", Effect.CACHE),
        ("prompt_cache_key_changed", Effect.CACHE),
    ]
    assert report.first_change is report.changes[0]
    assert [each.cause for each in report.possible] == ["other_machine"]


def test_too_short_a_prompt_is_named_as_such(two: TwoCalls) -> None:
    """Under 1,024 tokens nothing is cached, whatever changed."""
    two.first(tokens=usage(900, 0))
    assert two.second(tokens=usage(1023, 0)).verdict is Verdict.TOO_SHORT


def test_call_before_may_have_been_too_short(two: TwoCalls) -> None:
    """Of a short prompt nothing is left for a longer one."""
    two.first(tokens=usage(900, 0))
    report = two.second(tokens=usage(1024, 0))
    assert report.verdict is Verdict.NOT_CACHED
    assert [each.cause for each in report.possible] == ["before_too_short", "other_machine"]


@pytest.mark.parametrize(("later_ms", "is_possible"), [(299_989, False), (299_990, True)])
def test_expiry_is_possible_after_minutes_and_never_asserted(
    two: TwoCalls, later_ms: int, is_possible: bool
) -> None:
    """The time between the calls is always told; that it was too long is only possible."""
    two.first()
    two.bundle.later_ms = later_ms
    report = two.second()
    assert report.since_before_ms == later_ms + 10
    assert report.changes == ()
    assert ("expired" in [each.cause for each in report.possible]) is is_possible


def test_call_before_that_still_ran(two: TwoCalls) -> None:
    """A cache is filled by a call that has done its work; two at once find nothing."""
    two.bundle.start("c1", "t", {**BODY, "input": FIRST})
    two.bundle.start("c2", "t", {**BODY, "input": [*FIRST, assistant("A"), user("b")]})
    for call in ("c1", "c2"):
        two.bundle.complete(call, usage=usage(5000, 0))
    report = two.report("c2")
    assert [each.cause for each in report.possible] == ["before_not_ended", "other_machine"]


def test_explicit_mode_caches_what_is_marked(two: TwoCalls) -> None:
    """Without breakpoints such a request uses no cache at all."""
    body: Json = {"prompt_cache_options": {"mode": "explicit"}}
    two.first(body)
    causes = [each.cause for each in two.second(body).possible]
    assert causes == ["explicit_breakpoints", "other_machine"]


def test_first_call_has_nothing_before_it(two: TwoCalls) -> None:
    """Its tokens are told, and that there is nothing to compare."""
    two.first()
    report = two.report("c1")
    assert (report.before, report.is_compared, report.changes) == (None, False, ())
    assert (report.verdict, report.possible) == (Verdict.NOT_CACHED, ())


def test_call_without_usage(two: TwoCalls) -> None:
    """A failed call tells no tokens: what changed is told all the same."""
    two.first()
    two.bundle.start("c2", "t", {**BODY, "instructions": "Other.", "input": [*FIRST, user("b")]})
    two.bundle.fail("c2")
    report = two.report("c2")
    assert (report.verdict, report.cached_tokens, report.uncached_tokens) == (
        Verdict.UNKNOWN,
        None,
        None,
    )
    assert [change.reason for change in report.changes] == ["instructions_changed"]


@pytest.mark.parametrize("payload", [b"{}", b"no json", b'{"proxy":{"lost":"metadata"}}', None])
def test_request_that_was_not_kept(two: TwoCalls, payload: bytes | None) -> None:
    """What is not known is not compared, and nothing is raised."""
    two.first()
    name = "payloads/1.json"
    if payload is None:
        del two.bundle.files[name]
    else:
        two.bundle.files[name] = payload
    report = two.second()
    assert report.before == "c1"
    assert report.is_compared is (payload == b"{}")


def test_unknown_call_is_an_error(two: TwoCalls) -> None:
    """The caller asked for what is not there."""
    two.first()
    with pytest.raises(KeyError, match="nobody"):
        two.report("nobody")


def test_json_form(two: TwoCalls) -> None:
    """All of it, with the tokens that were not cached and the first change."""
    two.first()
    report = json.loads(json.dumps(two.second({"model": "n"}).as_json()))
    change = {
        "reason": "model_changed",
        "effect": "prompt",
        "pointer": "/model",
        "what": 'from character 0: "m" became "n"',
    }
    assert report == {
        "call": "c2",
        "before": "c1",
        "verdict": "not_cached",
        "input_tokens": 5100,
        "cached_tokens": 0,
        "uncached_tokens": 5100,
        "before_input_tokens": 5000,
        "since_before_ms": 10,
        "is_compared": True,
        "first_change": change,
        "changes": [change],
        "first_new_item": "/input/3",
        "possible": [],
    }
