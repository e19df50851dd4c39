"""Writes the text of `config.example.toml`, so that it cannot differ from the settings.

`python -m proxy.config_example > config.example.toml` makes the file anew.
"""

import sys
import textwrap
from pathlib import Path

import orjson

from .settings import Settings

INTRODUCTION = """\
# Every setting of tailrace, with its default. Copy what you want to change to ./tailrace.toml,
# or name your file with --config. A flag or a variable (TAILRACE_LISTEN for listen) comes first.
"""


def config_example() -> str:
    """The text of the file: each setting's description as a comment, and its default."""
    entries = [INTRODUCTION]
    for name, field in Settings.model_fields.items():
        comment = textwrap.fill(
            field.description or "", 98, initial_indent="# ", subsequent_indent="# "
        )
        entries.append(f"{comment}\n{name} = {_toml(field.default)}\n")
    return "\n".join(entries)


def _toml(value: object) -> str:
    match value:
        case None:
            return '""'
        case Path():
            return f'"{value}"'
        case int() if not isinstance(value, bool):
            return f"{value:_}"
        case _:  # what is left has one spelling in TOML and JSON
            return orjson.dumps(value).decode()


if __name__ == "__main__":
    sys.stdout.write(config_example())
