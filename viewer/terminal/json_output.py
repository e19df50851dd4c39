"""Writes JSON for scripts, an object a line."""

import sys
from collections.abc import Iterable

import orjson

from tracing.visible_text import visible_json


def json_line(value: object) -> bytes:
    """A value as one line."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def print_json(values: Iterable[object]) -> None:
    """Print each value as a line; on a terminal with escapes for what could steer it."""
    stdout, lines = sys.stdout.buffer, map(json_line, values)
    stdout.writelines(visible_json(lines) if sys.stdout.isatty() else lines)
