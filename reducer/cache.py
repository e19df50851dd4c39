"""Says why the prompt cache was missed: what changed since the call that a call continues.

What matters is what OpenAI's guide lists (developers.openai.com/api/docs/guides/prompt-caching,
"settings that affect the cached prefix"); reasons have the names that its diagnostics give them
(`prompt_cache_diagnostics`, openai-python 3.54), where there is one. All of it goes by what was
recorded: which machine answered and what it still held nobody outside can know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .exact_json import compact
from .fields import object_of, text_of
from .item_key import item_key, without_labels
from .json_difference import Difference, first_difference, label_of, moved
from .prompt import Prompt, State, read_prompt

CACHED_TOKENS_MIN = 1024
"""A shorter prompt is not cached (the guide; for models before GPT-5.6 it may be more)."""

ROUNDING_TOKENS = 128
"""Models before GPT-5.6 round cached tokens down to a multiple of this (the guide)."""

LIFETIME_MS_MIN = 5 * 60 * 1000
"""The shortest time after which an unused entry may be gone: in memory, before GPT-5.6 (the guide).
Later models keep one for `prompt_cache_options.ttl`, 30 minutes if not told otherwise."""

_COMPACTIONS = frozenset({"compaction", "compaction_summary", "context_compaction"})


class Verdict(StrEnum):
    """How a call stood with the cache."""

    CACHED = "cached"
    NOT_CACHED = "not_cached"
    TOO_SHORT = "too_short"
    UNKNOWN = "unknown"


class Effect(StrEnum):
    """What a change does: the prompt is another one from there on, or another cache is asked."""

    PROMPT = "prompt"
    CACHE = "cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that differs from the call before. `pointer` is one into the request's body."""

    reason: str
    effect: Effect
    pointer: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Possibility:
    """What may be why, without anything recorded that proves it."""

    cause: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport:
    """A call's tokens, and how its prompt differs from that of the call before, which it continues.

    `changes` are in the order in which they are looked for. `first_new_item` points to the first
    item that the call before had not been shown. `since_before_ms` is from the end of the call
    before, or its start if that is not known. `is_compared` is False without a call before, or
    where not all is known of what the two were shown; there may be changes all the same.
    """

    call: str
    before: str | None
    verdict: Verdict
    input_tokens: int | None
    cached_tokens: int | None
    before_input_tokens: int | None
    since_before_ms: int | None
    is_compared: bool
    changes: tuple[Change, ...]
    first_new_item: str | None
    possible: tuple[Possibility, ...]

    @property
    def uncached_tokens(self) -> int | None:
        """The tokens that were not read from the cache."""
        if self.input_tokens is None or self.cached_tokens is None:
            return None
        return self.input_tokens - self.cached_tokens

    @property
    def first_change(self) -> Change | None:
        """The first thing that made the prompt another one, else that had another cache asked."""
        prompt = (change for change in self.changes if change.effect is Effect.PROMPT)
        return next(prompt, next(iter(self.changes), None))

    def as_json(self) -> dict[str, object]:
        """The report, ready for JSON."""
        first = self.first_change
        return {
            "call": self.call,
            "before": self.before,
            "verdict": str(self.verdict),
            "input_tokens": self.input_tokens,
            "cached_tokens": self.cached_tokens,
            "uncached_tokens": self.uncached_tokens,
            "before_input_tokens": self.before_input_tokens,
            "since_before_ms": self.since_before_ms,
            "is_compared": self.is_compared,
            "first_change": None if first is None else _change_json(first),
            "changes": [_change_json(change) for change in self.changes],
            "first_new_item": self.first_new_item,
            "possible": [{"cause": each.cause, "what": each.what} for each in self.possible],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """A setting that counts, where it stands, and what it is if it is left out."""

    reason: str
    path: tuple[str, ...]
    effect: Effect = Effect.PROMPT
    default: object = None


SETTINGS = (
    _Setting(
        reason="service_tier_changed", path=("service_tier",), effect=Effect.CACHE, default="auto"
    ),
    _Setting(reason="prompt_cache_key_changed", path=("prompt_cache_key",), effect=Effect.CACHE),
    _Setting(reason="user_changed", path=("user",), effect=Effect.CACHE),
    _Setting(reason="tools_changed", path=("tools",), default=[]),
    _Setting(reason="parallel_tool_calls_changed", path=("parallel_tool_calls",), default=True),
    _Setting(reason="text_format_changed", path=("text", "format"), default={"type": "text"}),
    _Setting(reason="reasoning_effort_changed", path=("reasoning", "effort")),
    _Setting(reason="verbosity_changed", path=("text", "verbosity"), default="medium"),
    _Setting(reason="instructions_changed", path=("instructions",)),
    _Setting(reason="prompt_changed", path=("prompt",)),
    _Setting(reason="context_management_changed", path=("context_management",)),
)


def explain_cache(bundle: Path, state: State, call_id: str) -> CacheReport:
    """Say how a call stood with the cache, next to the call of its bundle that it continues.

    `state` is what the bundle was reduced to. Raises KeyError where it has no such call, and
    NotABundle.
    """
    call = read_prompt(bundle, state, call_id)
    continues = object_of(state["inference_calls"][call_id]["proxy"], "continues")
    before = text_of(continues, "call")
    if before is None:
        return compare_prompts(call, None)
    is_whole = call.conversation is not None
    return compare_prompts(call, read_prompt(bundle, state, before, whole=is_whole))


def compare_prompts(call: Prompt, before: Prompt | None) -> CacheReport:
    """Say how a call stood with the cache, next to the call before, wherever that was recorded."""
    changes: list[Change] = []
    first_new_item: str | None = None
    is_compared = False
    if before is not None and before.body is not None and call.body is not None:
        changes = _setting_changes(call, before)
        input_change, first_new_item = _input_change(call, before)
        changes += [input_change] if input_change else []
        is_compared = _has_known_input(call, before)
    since = None
    if before is not None:
        since = call.started_at_unix_ms - (before.ended_at_unix_ms or before.started_at_unix_ms)
    is_same = is_compared and all(change.effect is Effect.CACHE for change in changes)
    return CacheReport(
        call=call.call_id,
        before=None if before is None else before.call_id,
        verdict=_verdict(call),
        input_tokens=call.input_tokens,
        cached_tokens=call.cached_tokens,
        before_input_tokens=None if before is None else before.input_tokens,
        since_before_ms=since,
        is_compared=is_compared,
        changes=tuple(changes),
        first_new_item=first_new_item,
        possible=tuple(_possible(call, before, since)) if before and is_same else (),
    )


def _has_known_input(call: Prompt, before: Prompt) -> bool:
    return call.continues_by_id or None not in (call.conversation, before.conversation)


def _verdict(call: Prompt) -> Verdict:
    if call.input_tokens is None or call.cached_tokens is None:
        return Verdict.UNKNOWN
    if call.cached_tokens > 0:
        return Verdict.CACHED
    return Verdict.TOO_SHORT if call.input_tokens < CACHED_TOKENS_MIN else Verdict.NOT_CACHED


def _setting_changes(call: Prompt, before: Prompt) -> list[Change]:
    changes = []
    if found := first_difference(before.model, call.model, "/model"):
        changes.append(_change("model_changed", Effect.PROMPT, found))
    for setting in SETTINGS:
        was, now = (_value(prompt.body or {}, setting) for prompt in (before, call))
        found = first_difference(was, now, "/" + "/".join(setting.path))
        if found is not None:
            changes.append(_change(setting.reason, setting.effect, found))
    return changes


def _value(body: Mapping[str, object], setting: _Setting) -> object:
    *path, last = setting.path
    for key in path:
        body = object_of(body, key)
    value = body.get(last)
    return setting.default if value is None else value


def _input_change(call: Prompt, before: Prompt) -> tuple[Change | None, str | None]:
    """How the input differs where the call before had it, and the first item that is new.

    A request that names the response before it holds new items alone: the server puts the rest
    before them as it was.
    """
    if call.continues_by_id:
        return None, _pointer(call, 0)
    if call.conversation is None or before.conversation is None:
        return None, None
    was, now = before.conversation, call.conversation
    shared = min(len(was), len(now))
    at = next((i for i in range(shared) if _differ(was[i], now[i])), shared)
    if at == len(was):
        return None, _pointer(call, at) if at < len(now) else None
    reason = "input_changed"
    if _has_compaction(call.conversation) and not _has_compaction(
        (*before.conversation, *before.output)
    ):
        reason = "context_compacted"
    if at == len(now):
        what = f"{label_of(was[at])} and what follows it is gone"
        return _change(reason, Effect.PROMPT, Difference(pointer="/input", what=what)), None
    place = _pointer(call, at)
    match moved([shown_key(item) for item in was], [shown_key(item) for item in now], at):
        case "new":
            difference = Difference(pointer=place, what=f"{label_of(now[at])} is new")
        case "gone":
            difference = Difference(pointer=place, what=f"{label_of(was[at])} is gone")
        case _:
            found = first_difference(without_labels(was[at]), without_labels(now[at]), place)
            difference = found or Difference(pointer=place, what="it changed")
    return _change(reason, Effect.PROMPT, difference), place


def _differ(was: object, now: object) -> bool:
    # Most items are the same to the letter, which is quickly seen.
    return was != now and shown_key(was) != shown_key(now)


def shown_key(item: object) -> str:
    """What the model is shown of an item, reasoning included: without it a prompt is another."""
    key = item_key(item)
    if key is not None:
        return key.hex()
    reasoning = item if isinstance(item, dict) else {}
    encrypted = text_of(reasoning, "encrypted_content")
    return encrypted or compact([reasoning.get("content"), reasoning.get("summary")])


def _has_compaction(items: tuple[object, ...]) -> bool:
    return any(isinstance(item, dict) and item.get("type") in _COMPACTIONS for item in items)


def _possible(call: Prompt, before: Prompt, since_ms: int | None) -> list[Possibility]:
    """What may be why less was cached than the call before had sent, though nothing changed."""
    if call.cached_tokens is None or before.input_tokens is None:
        return []
    if call.cached_tokens + ROUNDING_TOKENS >= before.input_tokens:
        return []
    found = []
    if before.input_tokens < CACHED_TOKENS_MIN:
        what = f"The call before had {before.input_tokens} tokens: too few to be cached."
        found.append(Possibility(cause="before_too_short", what=what))
    if before.ended_at_unix_ms is None or before.ended_at_unix_ms > call.started_at_unix_ms:
        what = "The call before had not ended when this one began."
        found.append(Possibility(cause="before_not_ended", what=what))
    if any(_asks_for_explicit_caching(prompt) for prompt in (before, call)):
        what = "Only what stands before an explicit breakpoint is cached in mode explicit."
        found.append(Possibility(cause="explicit_breakpoints", what=what))
    if since_ms is not None and since_ms >= LIFETIME_MS_MIN:
        what = f"{since_ms / 60_000:.1f} minutes had passed since the call before."
        found.append(Possibility(cause="expired", what=what))
    what = "A machine may have answered that had not seen the prompt before."
    return [*found, Possibility(cause="other_machine", what=what)]


def _asks_for_explicit_caching(prompt: Prompt) -> bool:
    return text_of(object_of(prompt.body or {}, "prompt_cache_options"), "mode") == "explicit"


def _pointer(call: Prompt, index: int) -> str:
    is_text = isinstance((call.body or {}).get("input"), str)
    return "/input" if is_text else f"/input/{index}"


def _change(reason: str, effect: Effect, difference: Difference) -> Change:
    return Change(reason=reason, effect=effect, pointer=difference.pointer, what=difference.what)


def _change_json(change: Change) -> dict[str, object]:
    return {
        "reason": change.reason,
        "effect": str(change.effect),
        "pointer": change.pointer,
        "what": change.what,
    }
