"""`tailrace view`: the traces as a page in the browser."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import click

from .options import fail


class _Settings(Protocol):
    """What of the settings, which are the proxy's, the page needs."""

    @property
    def trace_dir(self) -> Path: ...
    @property
    def view_host(self) -> str: ...
    @property
    def view_port(self) -> int: ...
    @property
    def view_token(self) -> str | None: ...
    @property
    def allowed_hosts(self) -> Sequence[str]: ...


@click.command(name="view", short_help="Show the traces as a page in the browser.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="F",
    help="A TOML file of settings; without it ./tailrace.toml is read, if there.",
)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen.  [default: 127.0.0.1:8788]")
@click.option("--trace-dir", metavar="DIR", help="Where the bundles are.  [default: ./traces]")
@click.option("--end-with-stdin", is_flag=True, hidden=True)  # for serve, whose child it is
@click.pass_context
def command(
    ctx: click.Context,
    *,
    config: Path | None,
    listen: str | None,
    trace_dir: str | None,
    end_with_stdin: bool,
) -> None:
    """Show the traces as a page in the browser, until SIGTERM or Ctrl-C.

    It prints the page's address. Whoever can reach that reads all prompts and outputs, so it
    listens on loopback; beyond, the address has a token in it, and without that nothing is shown.
    """
    flags = {"view_listen": listen, "trace_dir": trace_dir}
    settings: _Settings = ctx.meta["tailrace.settings"](flags, config)
    from ..page.server import CannotListen, PageSettings, serve_page

    page = PageSettings(
        trace_dir=settings.trace_dir,
        host=settings.view_host,
        port=settings.view_port,
        token=settings.view_token,
        allowed_hosts=settings.allowed_hosts,
    )
    try:
        serve_page(page, sys.stdout, ends_with_stdin=end_with_stdin)
    except CannotListen as error:
        fail(str(error))
