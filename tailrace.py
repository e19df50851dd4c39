"""The command line: what each command is called, what it takes, and how it answers.

The work is done elsewhere. Each command imports what it needs when it runs, so that a command that
reads does not load an HTTP server, and works where no proxy could.
"""

import errno
import importlib
import io
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from proxy.settings import Settings
    from proxy.settings_sources import Layer

EXIT_DAMAGE = 1
EXIT_USAGE = 2

DEFAULT_TRACES = Path("./traces")
"""As the settings have it."""


def _version() -> str:
    try:
        return metadata.version("tailrace")
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # EPIPE is click's to see to

READING_COMMANDS = frozenset({"diff", "export", "ls", "search", "show", "stats", "tail", "view"})
"""The commands that read traces; each is a module of `viewer.terminal`."""


class _Commands(click.Group):
    """The commands; those that read are loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *READING_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in READING_COMMANDS:
            return super().get_command(ctx, cmd_name)
        command = importlib.import_module(f"viewer.terminal.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run what was asked for; an output that cannot be written is told in a line."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if error.filename is not None or error.errno not in OUTPUT_ERRORS:
                raise
            with suppress(OSError):
                sys.stdout.close()  # with what is left of it: at the exit it would fail once more
            _fail(EXIT_DAMAGE, [f"the output cannot be written: {error.strerror}"])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        finally:
            if not sys.stdout.closed:
                sys.stdout.flush()  # at the exit nobody could say that this failed


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="tailrace", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Trace OpenAI Responses API traffic.

    Start with `tailrace demo`. Then point OPENAI_BASE_URL at `tailrace serve`, or put `tailrace run
    --` before a command. What was called is told by `tailrace ls`, `show last` and `view`.
    """
    if sys.stdout is None:  # closed by who started it; commands may write all the same
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (until the exit)
    # What a locale's encoding has no character for is no reason to print nothing.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    ctx.obj = _trace_dir_to_read  # the settings are the proxy's, and those who read need this one
    ctx.meta["tailrace.settings"] = _settings  # but for the page's server


_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="F",
    help="A TOML file of settings; without it ./tailrace.toml is read, if there.",
)
_trace_dir = click.option(
    "--trace-dir", metavar="DIR", help="Where the bundles are.  [default: ./traces]"
)
_upstream = click.option(
    "--upstream",
    metavar="URL",
    help="The base URL that calls are sent on to.  [default: https://api.openai.com/v1]",
)


@main.command()
@_config
@click.option("--listen", metavar="HOST:PORT", help="Where to listen.  [default: 127.0.0.1:8787]")
@_upstream
@_trace_dir
@click.option("--workers", metavar="N", help="Processes that share the port.  [default: 1]")
@click.option(
    "--view",
    flag_value="true",
    default=None,
    help="Show the traces as a page in the browser, too, on 127.0.0.1:8788.",
)
def serve(config: Path | None, **flags: str | None) -> None:
    """Run the proxy until SIGTERM or Ctrl-C."""
    settings = _settings(flags, config)
    from proxy.listening import CannotServeError
    from proxy.logs import configure_logs
    from proxy.page_process import shown_page
    from proxy.serve import serve as serve_until_stopped
    from proxy.serve_workers import serve_with_workers

    page = shown_page(settings, config, sys.stdout)
    try:
        if settings.workers > 1:
            if not serve_with_workers(settings, sys.stdout, page):
                _fail(EXIT_DAMAGE, ["a worker did not end well; the log tells which"])
            return
        configure_logs(settings.log_level, stream=sys.stderr, is_terminal=sys.stderr.isatty())
        with page:
            serve_until_stopped(settings, sys.stdout)
    except CannotServeError as error:
        _fail(EXIT_DAMAGE, [str(error)])


@main.command(context_settings={"allow_interspersed_args": False})
@_config
@click.option("--listen", metavar="HOST:PORT", help="Where to listen.  [default: any free port]")
@_upstream
@_trace_dir
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(config: Path | None, command: Sequence[str], **flags: str | None) -> None:
    """Run COMMAND behind a proxy of its own, then print what it called.

    COMMAND finds the proxy by OPENAI_BASE_URL; one that is set already becomes the upstream. The
    exit code is COMMAND's: 128+N if signal N ended it, 125 if the proxy failed, 126 or 127 if
    COMMAND could not be run or found.
    """
    from proxy.run_command import CommandError, base_url_layer, run_command

    flags["listen"] = flags["listen"] or "127.0.0.1:0"
    settings = _settings(flags, config, fallback=base_url_layer(os.environ))
    from proxy.logs import configure_logs

    configure_logs("warning", stream=sys.stderr, is_terminal=sys.stderr.isatty())
    try:
        finished = run_command(settings, command)
    except CommandError as error:
        _fail(error.exit_code, [str(error)])
    for step in _print_calls(finished.bundles, flags["trace_dir"], stderr=True):
        click.echo(f"  {step}", err=True)
    sys.exit(finished.exit_code)


@main.command()
@click.option(
    "--trace-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT_TRACES,
    metavar="DIR",
    help="Where the bundle goes.  [default: ./traces]",
)
def demo(trace_dir: Path) -> None:
    """Trace a scripted session, with no key and no network.

    The real openai SDK makes the calls; upstream is scripted.
    """
    from proxy.demo import DemoError, run_demo
    from proxy.listening import CannotServeError
    from proxy.logs import configure_logs

    configure_logs("warning", stream=sys.stderr, is_terminal=sys.stderr.isatty())
    try:
        bundles = run_demo(trace_dir, click.echo)
    except DemoError as error:
        _fail(EXIT_USAGE, [str(error)])
    except CannotServeError as error:
        _fail(EXIT_DAMAGE, [str(error)])
    click.echo("\nWhat tailrace saw:\n")
    where = None if trace_dir == DEFAULT_TRACES else str(trace_dir)
    steps = _print_calls(bundles, where, stderr=False)
    click.echo("\nNext:")
    for step in (*steps, f"{_command()} serve"):
        click.echo(f"  {step}")


def _command() -> str:
    """What to type for this command: it may be in an environment that is not on the PATH."""
    started_as = Path(sys.argv[0])
    if started_as.name != "tailrace":
        return "python -m tailrace"
    return "tailrace" if shutil.which("tailrace") else shlex.quote(os.path.relpath(started_as))


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "output",
    metavar="FILE",
    help="Where to write it; - prints.  [default: BUNDLE/state.json]",
)
def reduce(bundle: Path, output: str | None) -> None:
    """Replay BUNDLE and write the state that it adds up to."""
    from reducer import NotABundle, state_stream
    from tracing.events import STATE_NAME

    try:
        state = state_stream(bundle)
    except NotABundle as error:
        _fail(EXIT_DAMAGE, [str(error)])
    except OSError as error:
        _fail(EXIT_DAMAGE, [f"{bundle}: cannot be read: {error.strerror}"])
    if output == "-":
        _print_json(state)
        return
    path = bundle / STATE_NAME if output is None else Path(output)
    try:
        _write_whole(path, state)
    except OSError as error:
        _fail(EXIT_DAMAGE, [f"{path}: cannot be written: {error.strerror}"])


@main.command()
@click.argument(
    "bundles", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="BUNDLE..."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each finding.")
def verify(bundles: Sequence[Path], *, as_json: bool) -> None:
    """Check each BUNDLE; a live one as far as it is written.

    Whatever is damaged is told with its file and the event's seq, on stdout. The exit code is 1
    where anything is.
    """
    from tracing.verify import verify as check
    from tracing.verify_report import json_lines, text_lines

    is_whole = True
    for verdict in map(check, bundles):
        is_whole = is_whole and verdict.is_whole
        if as_json:
            _print_json(f"{line}\n".encode() for line in json_lines(verdict))
            continue
        for line in text_lines(verdict):
            click.echo(line)
    sys.exit(0 if is_whole else EXIT_DAMAGE)


@main.command()
@_config
@_trace_dir
def recover(config: Path | None, **flags: str | None) -> None:
    """Seal the bundles that a crash left open."""
    settings = _settings(flags, config)
    from tracing.recovery import recover as seal_dead_bundles
    from tracing.visible_text import visible

    try:
        found = seal_dead_bundles(settings.trace_dir)
    except OSError as error:
        _fail(EXIT_DAMAGE, [f"{settings.trace_dir}: cannot be read: {error.strerror}"])
    for sealed in found:
        calls = "1 call" if sealed.calls_aborted == 1 else f"{sealed.calls_aborted} calls"
        bundle = visible(str(sealed.bundle))
        click.echo(f"{bundle}: sealed, {calls} aborted, {sealed.torn_bytes} torn bytes set aside")


@main.command()
@_config
@_trace_dir
@click.option("--dry-run", is_flag=True, help="Only print what would be removed.")
def prune(config: Path | None, *, dry_run: bool, **flags: str | None) -> None:
    """Remove the bundles that are over the limits.

    The limits are kept_bytes_max and kept_age_max. Bundles that were written longest ago go first.
    One in use stays, and so does everything that is no bundle of tailrace. `tailrace serve` does
    the same every minute.
    """
    settings = _settings(flags, config)
    from tracing.retention import Limits, Retention, RetentionBusy
    from tracing.retention_report import text_lines

    limits = Limits(bytes_max=settings.kept_bytes_max, age_max=settings.kept_age_max)
    try:
        outcome = Retention(settings.trace_dir, limits).apply(time.time(), dry_run=dry_run)
    except RetentionBusy as error:
        _fail(EXIT_DAMAGE, [str(error)])
    except OSError as error:
        _fail(EXIT_DAMAGE, [f"{settings.trace_dir}: cannot be read: {error.strerror}"])
    for line in text_lines(outcome, dry_run=dry_run):
        click.echo(line)
    if not dry_run:
        _forget_removed(settings.trace_dir)
    if outcome.failed:
        _fail(EXIT_DAMAGE, [f"{p}: cannot be removed: {e.strerror}" for p, e in outcome.failed])


def _forget_removed(trace_dir: Path) -> None:
    """Take what was removed out of the index as well: it holds texts."""
    import sqlite3

    from viewer.catalog.catalog import forget_removed

    try:
        forget_removed(trace_dir)
    except (sqlite3.Error, OSError) as error:
        _fail(EXIT_DAMAGE, [f"{trace_dir}: its index still has what was removed: {error}"])


def _trace_dir_to_read(trace_dir: str | None, config: Path | None) -> Path:
    """The trace directory; prints what is wrong with the settings and exits, if anything is."""
    from proxy.settings_places import are_flags_all

    # To load the settings would take longer than all the rest of a list of calls.
    if are_flags_all(config, os.environ, Path.cwd()):
        if trace_dir is None:
            return DEFAULT_TRACES
        if trace_dir and not trace_dir.startswith("~"):
            return Path(trace_dir)
    return _settings({"trace_dir": trace_dir}, config).trace_dir


def _settings(
    flags: Mapping[str, str | None], config: Path | None, fallback: "Layer | None" = None
) -> "Settings":
    """The settings of this run; prints what is wrong with them and exits, if anything is."""
    from proxy.settings_sources import SettingsError, load_settings, settings_warnings

    for warning in settings_warnings():
        click.echo(f"tailrace: warning: {warning}", err=True)
    try:
        return load_settings(flags, config, fallback=fallback)
    except SettingsError as error:
        _fail(EXIT_USAGE, error.problems)


def _print_calls(bundles: Sequence[Path], trace_dir: str | None, *, stderr: bool) -> list[str]:
    """Print what these bundles hold, to stderr where stdout is a command's, and return what to type
    next; `trace_dir` is what has to be said of where the bundles are."""
    from rich.console import Console

    from viewer.summary import tell_calls

    options = "" if trace_dir is None else f" --trace-dir {shlex.quote(trace_dir)}"
    steps = tell_calls(bundles, Console(stderr=stderr))
    return [f"{_command()} {step}{options}" for step in steps]


def _write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that others see whole or not at all, readable by its owner only."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _print_json(chunks: Iterable[bytes]) -> None:
    """Print JSON; on a terminal with escapes, which mean the same, for what could steer it."""
    from tracing.visible_text import visible_json

    stdout = sys.stdout.buffer
    stdout.writelines(visible_json(chunks) if stdout.isatty() else chunks)


def _fail(exit_code: int, problems: Iterable[str]) -> NoReturn:
    from tracing.visible_text import visible

    for problem in problems:
        click.echo(f"tailrace: {visible(problem)}", err=True)
    sys.exit(exit_code)


if __name__ == "__main__":
    main(prog_name="tailrace")
