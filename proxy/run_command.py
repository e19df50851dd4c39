"""Runs one command behind a proxy of its own, as strace does for system calls.

It prints nothing of what was called: it says which bundles hold it.
"""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from .listening import CannotServeError
from .own_bundles import OwnBundles
from .serve import running_proxy
from .settings import Settings
from .settings_sources import Layer

BASE_URL_VARIABLE = "OPENAI_BASE_URL"

EXIT_PROXY_FAILED = 125
EXIT_CANNOT_RUN = 126
EXIT_NOT_FOUND = 127
EXIT_BY_SIGNAL = 128
"""A shell's exit codes: 128 and the number of the signal; `env` and `docker run` have the rest."""

TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT)
"""A terminal sends these to the command too, which decides what they mean; we outlive it."""

FORWARDED_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""These are sent to us alone, and meant for the command."""
log = structlog.get_logger()


class CommandError(Exception):
    """The command never ran, for a reason that `str` gives, with the exit code for it."""

    def __init__(self, exit_code: int, reason: str) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What came of a command: its exit code, and where its calls were traced."""

    exit_code: int
    bundles: Sequence[Path]


def base_url_layer(environ: Mapping[str, str]) -> Layer | None:
    """The upstream that the command would have used without us, if the environment names one."""
    base_url = environ.get(BASE_URL_VARIABLE)
    if not base_url:
        return None
    return Layer(values={"upstream": base_url}, name_of=lambda _: BASE_URL_VARIABLE)


def run_command(settings: Settings, command: Sequence[str]) -> Finished:
    """Run `command` to its end behind a proxy with these settings. It inherits our stdio.

    Raises CommandError.
    """
    bundles = OwnBundles(settings.trace_dir)
    try:
        exit_code = asyncio.run(_run(settings, command))
    except CannotServeError as error:
        raise CommandError(EXIT_PROXY_FAILED, str(error)) from error
    except CommandError:
        raise
    except Exception as error:
        log.exception("the proxy failed")
        raise CommandError(EXIT_PROXY_FAILED, "the proxy failed") from error
    return Finished(exit_code=exit_code, bundles=bundles.found())


async def _run(settings: Settings, command: Sequence[str]) -> int:
    async with running_proxy(settings) as proxy:
        with _Signals.caught() as signals:
            child = await _start(command_for(command, proxy.base_url), proxy.base_url)
            signals.forward_to(child)
            return exit_code_of(await child.wait())


async def _start(command: Sequence[str], base_url: str) -> Process:
    environment = environment_for(os.environ, base_url)
    try:
        return await asyncio.create_subprocess_exec(*command, env=environment)
    except FileNotFoundError as error:
        raise CommandError(EXIT_NOT_FOUND, f"{command[0]}: command not found") from error
    except OSError as error:
        raise CommandError(EXIT_CANNOT_RUN, f"{command[0]}: {error.strerror}") from error


def exit_code_of(returncode: int) -> int:
    """The exit code that a shell gives for `returncode`, which is minus N after signal N."""
    return returncode if returncode >= 0 else EXIT_BY_SIGNAL - returncode


def command_for(command: Sequence[str], base_url: str) -> list[str]:
    """The command as it must be called to find us.

    Codex takes its base URL from its configuration alone (codex-cli 0.169.0).
    """
    program, *arguments = command
    if Path(program).name == "codex":
        return [program, "-c", f'openai_base_url="{base_url}"', *arguments]
    return [program, *arguments]


def environment_for(environ: Mapping[str, str], base_url: str) -> dict[str, str]:
    """The command's environment: our base URL, which must not be reached by an HTTP proxy.

    Programs read either spelling of NO_PROXY, so both get what either holds.
    """
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in excepted.split(",") if host.strip()]
    for host in ("127.0.0.1", "localhost", urlsplit(base_url).hostname or ""):
        if host not in hosts:
            hosts.append(host)
    no_proxy = ",".join(hosts)
    return {**environ, BASE_URL_VARIABLE: base_url, "NO_PROXY": no_proxy, "no_proxy": no_proxy}


class _Signals:
    """Signals while the command runs: the terminal's are left to it, others are passed on.

    One that we were told to ignore (by nohup, say) stays ignored, and the command inherits that.
    """

    def __init__(self) -> None:
        self._child: Process | None = None
        self._early: list[signal.Signals] = []

    @classmethod
    @contextlib.contextmanager
    def caught(cls) -> Iterator["_Signals"]:
        """Catch them until the block ends. Needs a running loop in the main thread."""
        loop = asyncio.get_running_loop()
        signals = cls()
        numbers = [
            number
            for number in (*TERMINAL_SIGNALS, *FORWARDED_SIGNALS)
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        for number in numbers:
            # A handler, since an ignored signal would stay ignored in the command.
            loop.add_signal_handler(number, signals._arrived, number)
        try:
            yield signals
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def forward_to(self, child: Process) -> None:
        """Pass signals on to `child`, those included that came before it was there."""
        self._child = child
        for number in self._early:
            self._arrived(number)

    def _arrived(self, number: signal.Signals) -> None:
        if number in TERMINAL_SIGNALS:
            return
        if self._child is None:
            self._early.append(number)
        else:
            with contextlib.suppress(ProcessLookupError):
                self._child.send_signal(number)
