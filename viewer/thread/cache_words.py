"""Why a prompt was read from the cache or not, in sentences."""

from collections.abc import Iterator

from reducer.cache import CACHED_TOKENS_MIN, CacheReport, Change, Effect, Verdict

from ..figures import duration

_REASONS = {
    "model_changed": "the model",
    "service_tier_changed": "the service tier",
    "prompt_cache_key_changed": "the prompt cache key",
    "user_changed": "the user",
    "tools_changed": "the tools",
    "parallel_tool_calls_changed": "parallel tool calls",
    "text_format_changed": "the text format",
    "reasoning_effort_changed": "the reasoning effort",
    "verbosity_changed": "the verbosity",
    "instructions_changed": "the instructions",
    "prompt_changed": "the prompt template",
    "context_management_changed": "the context management",
    "context_compacted": "the context, which was compacted,",
    "input_changed": "the input",
}


def cache_words(report: CacheReport) -> tuple[str, ...]:
    """What there is to say: how much was cached, what broke the cache, and what else may have.

    It is plain text; what stands in it of the requests is not escaped.
    """
    return (_verdict(report), *_causes(report))


def cache_miss(report: CacheReport) -> str | None:
    """Why a prompt was not read from the cache as far as it might have been; None if it was."""
    if report.verdict in {Verdict.TOO_SHORT, Verdict.UNKNOWN} or report.before is None:
        return None
    if report.first_change is not None:
        _, cause, *_ = cache_words(report)
        return cause
    if report.verdict is Verdict.NOT_CACHED and report.possible:
        return f"Nothing changed, and yet none of it was cached. {report.possible[0].what}"
    return None


def _verdict(report: CacheReport) -> str:
    match report.verdict:
        case Verdict.CACHED:
            return (
                f"{report.cached_tokens:,} of {report.input_tokens:,} input tokens were read from"
                " the cache."
            )
        case Verdict.NOT_CACHED:
            return f"None of {report.input_tokens:,} input tokens was read from the cache."
        case Verdict.TOO_SHORT:
            return (
                f"{report.input_tokens:,} input tokens are too few to be cached: it takes"
                f" {CACHED_TOKENS_MIN:,}."
            )
        case _:
            return "No tokens were told."


def _causes(report: CacheReport) -> Iterator[str]:
    if report.before is None:
        yield "There is no call before it to compare it with."
        return
    first = report.first_change
    for change in (first, *(each for each in report.changes if each is not first)):
        if change is not None:
            yield _told(change, is_first=change is first)
    if not report.is_compared:
        yield "Not all is known of what the two were shown, so that more may have changed."
    elif first is None:
        yield "Nothing changed in what the call before was shown."
    # Of what could not be cached, nothing needs to be guessed.
    for each in () if report.verdict is Verdict.TOO_SHORT else report.possible:
        yield f"Possible: {each.what}"
    if report.since_before_ms is not None and report.since_before_ms >= 0:
        yield f"It began {duration(report.since_before_ms)} after the call before ended."


def _told(change: Change, *, is_first: bool) -> str:
    what = f"{_REASONS.get(change.reason, change.reason)} changed ({change.pointer}: {change.what})"
    if change.effect is Effect.CACHE:
        return f"Another cache may have been asked: {what}."
    return f"The prompt is another one from here on: {what}." if is_first else f"Also, {what}."
