"""JSON as Codex's reducer reads and writes it: numbers keep their digits, objects their order.

Summaries and hashes of tool arguments go by that text, so that 1.50 and 1.5 differ. codex-cli
0.169.0 writes an exponent as a small e with its sign, and -0 as 0.
"""

import json
import math
import re
from collections.abc import Callable
from typing import NoReturn

from tracing.strict_json import DEPTH_MAX, TOO_DEEP

INT_DIGITS_MAX = 4000
"""Python refuses to convert more than 4300 digits; such a number stays text."""

LENIENT_LEVELS_MAX = 500
"""Python's parser gives up at about twice as many, sooner or later as the stack is used already."""

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{\]}]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_EXPONENT = re.compile(r"[eE]([+-]?)")
_encode_string = json.encoder.encode_basestring


class NotExactJson(ValueError):
    """What Codex's parser refuses."""


class Number:
    """A number kept as its text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def parse_exact(text: str) -> object:
    """Parse what Codex's parser takes. Raises NotExactJson.

    Refused beyond syntax errors: lone surrogates, NaN and infinities, more than DEPTH_MAX levels.
    """
    value = _loads(text, EXACT_DECODER)
    check_exact(value, text, DEPTH_MAX)
    return value


def check_exact(value: object, text: str, levels: int) -> None:
    """Refuse a parsed value that is deeper than `levels` or holds lone surrogates.

    `text` is what it was parsed from. Raises NotExactJson.
    """
    if _may_be_deeper(text, levels) and _is_deeper(value, levels):
        raise NotExactJson(f"more than {DEPTH_MAX} levels")
    if _SURROGATE_ESCAPE.search(text) and _without_surrogates(value)[1]:
        raise NotExactJson("lone surrogate")


def parse_payload(data: bytes) -> tuple[object, str | None]:
    """Parse a payload, and say what Codex's parser would refuse in it. Raises NotExactJson.

    What was refused is replaced: bytes that are no UTF-8 and lone surrogates by U+FFFD, NaN and
    infinities by null, what lies too deep by a short string.
    """
    try:
        return parse_exact(data.decode()), None
    except UnicodeDecodeError:
        oddity = "bytes that are no UTF-8"
    except NotExactJson as error:
        oddity = str(error)
    text = data.decode(errors="replace").removeprefix("\ufeff")
    if _levels(text) > LENIENT_LEVELS_MAX:
        raise NotExactJson(f"more than {LENIENT_LEVELS_MAX} levels")
    value = _loads(text, _LENIENT_DECODER)
    return _without_surrogates(_pruned(value, DEPTH_MAX))[0], oddity


def compact(value: object) -> str:
    """The shortest JSON text of a parsed value, keys in their order."""
    return _text(value, sort_keys=False)


def canonical(value: object) -> str:
    """The shortest JSON text of a parsed value, keys sorted."""
    return _text(value, sort_keys=True)


def plain(value: object) -> object:
    """A parsed value with ordinary numbers, as any JSON writer takes it; null beyond a double."""
    match value:
        case Number():
            return _finite(value.text)
        case bool():
            return value
        case int() if not -(2**63) <= value < 2**64:
            return _finite(str(value))
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def _loads(text: str, decoder: json.JSONDecoder) -> object:
    try:
        value: object = decoder.decode(text)
    except NotExactJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotExactJson(str(error)) from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotExactJson(f"{name} is no JSON number")


def _null_for_constant(_name: str) -> None:
    return None


def _whole_number(text: str) -> int | Number:
    return int(text) if len(text) <= INT_DIGITS_MAX else Number(text)


def _number(text: str) -> Number:
    return Number(_EXPONENT.sub(lambda match: "e" + (match[1] or "+"), text, count=1))


EXACT_DECODER = json.JSONDecoder(
    parse_int=_whole_number, parse_float=_number, parse_constant=_refuse_constant
)
"""Raises NotExactJson for NaN and infinities, and ValueError for what is no JSON."""

_LENIENT_DECODER = json.JSONDecoder(
    parse_int=_whole_number, parse_float=_number, parse_constant=_null_for_constant
)


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _levels(text: str) -> int:
    """How deep the text nests, which need not be JSON."""
    level = deepest = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        if found[0] in "[{":
            level += 1
            deepest = max(deepest, level)
        elif found[0] in "]}":
            level -= 1
    return deepest


def _may_be_deeper(text: str, levels: int) -> bool:
    return text.count("[") + text.count("{") > levels


def _is_deeper(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)


def _pruned(value: object, levels: int) -> object:
    """The value with what lies deeper than `levels` replaced."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return TOO_DEEP
    if isinstance(value, dict):
        return {key: _pruned(item, levels - 1) for key, item in value.items()}
    return [_pruned(item, levels - 1) for item in value]


def _without_surrogates(value: object) -> tuple[object, bool]:
    """The value with lone surrogates replaced, and whether there were any."""
    match value:
        case str():
            clean = _SURROGATE.sub("\ufffd", value)
            return clean, clean != value
        case dict():
            keys = [_without_surrogates(key) for key in value]
            values = [_without_surrogates(item) for item in value.values()]
            pairs = zip(keys, values, strict=True)
            found = any(odd for _, odd in keys) or any(odd for _, odd in values)
            return {str(key[0]): item[0] for key, item in pairs}, found
        case list():
            cleaned = [_without_surrogates(item) for item in value]
            return [item for item, _ in cleaned], any(odd for _, odd in cleaned)
        case _:
            return value, False


def _text(value: object, *, sort_keys: bool) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)
    except TypeError:  # it holds a Number
        pieces: list[str] = []
        _write(value, pieces.append, sorted if sort_keys else list)
        return "".join(pieces)


def _write(value: object, put: Callable[[str], None], order: Callable[..., list[str]]) -> None:
    match value:
        case Number():
            put(value.text)
        case dict():
            put("{")
            for position, key in enumerate(order(value)):
                put("," if position else "")
                put(_encode_string(key) + ":")
                _write(value[key], put, order)
            put("}")
        case list():
            put("[")
            for position, item in enumerate(value):
                put("," if position else "")
                _write(item, put, order)
            put("]")
        case _:
            put(json.dumps(value, ensure_ascii=False))
