"""What the reading commands have in common: where the traces are, and how one fails."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import click

from tracing.visible_text import visible

EXIT_DAMAGE = 1
"""Damage, no match or several; usage errors exit with 2."""

CONFIG = "tailrace.config"
"""Where the settings file that was named waits, among what a command's context holds."""

Command = TypeVar("Command", bound=Callable[..., object])


def trace_dir_options(command: Command) -> Command:
    """Add `--trace-dir` and `--config`; the command gets `trace_dir`, the one that is meant."""

    def note(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
        ctx.meta[CONFIG] = value

    def find(ctx: click.Context, _: click.Parameter, value: str | None) -> Path:
        found = ctx.obj(value, ctx.meta[CONFIG])
        assert isinstance(found, Path)
        return found

    command = click.option(
        "--trace-dir",
        metavar="DIR",
        callback=find,
        help="Where the bundles are.  [default: ./traces]",
    )(command)
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="F",
        callback=note,
        is_eager=True,  # it is read before the directory is looked for
        expose_value=False,
        help="A TOML file of settings; without it ./tailrace.toml is read, if there.",
    )(command)


def fail(problem: str, *more: str) -> NoReturn:
    """Say what is wrong, on stderr, in a line or more, and exit with 1."""
    for line in (f"tailrace: {problem}", *more):
        click.echo(visible(line), err=True)
    sys.exit(EXIT_DAMAGE)
