"""Runs `tailrace show` in the test's own process, its output no terminal."""

import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tailrace import main

ASKED: dict[str, Any] = {"model": "gpt-5.5", "stream": True, "input": "What is a tailrace?"}
HEADERS = (
    (b"user-agent", b"OpenAI/Python 3.54.0"),
    (b"authorization", b"Bearer sk-very-secret"),
)


def show(trace_dir: Path, *arguments: str) -> Result:
    """Run the command in this process, its output no terminal, with no settings around it."""
    unset = {name: None for name in os.environ if name.startswith("TAILRACE_")}
    command = ["show", *arguments, "--trace-dir", str(trace_dir)]
    return CliRunner(env=unset).invoke(main, command)


def shown(trace_dir: Path, *arguments: str) -> str:
    """What it prints, where nothing goes wrong."""
    result = show(trace_dir, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout
