"""The command: `python -m bench [SCENARIO]`; without a scenario, all of them.

A scenario is a module with a `Plan`, and with `run`, which returns its report and its faults.
"""

import sys
from collections.abc import Callable

import click

from . import websocket as websocket_scenario
from .process import CannotStartError


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure what the proxy costs, beside others, on this machine."""
    if context.invoked_subcommand is None:
        context.invoke(websocket)


@main.command()
@click.option("--rounds", default=5, show_default=True, help="Rounds; figures are their medians.")
@click.option("--sockets", default=100, show_default=True, help="Sockets at a time.")
@click.option("--responses", default=1, show_default=True, help="Responses on each socket.")
@click.option("--deltas", default=204, show_default=True, help="Deltas, 50 ms apart, of each.")
def websocket(rounds: int, sockets: int, responses: int, deltas: int) -> None:
    """Many WebSockets, with a frame each 50 ms on each."""
    plan = websocket_scenario.Plan(
        rounds=rounds, sockets=sockets, responses=responses, deltas=deltas
    )
    _show(lambda: websocket_scenario.run(plan))


def _show(scenario: Callable[[], tuple[str, list[str]]]) -> None:
    """Run a scenario and print its report, or why there is none."""
    try:
        report, faults = scenario()
    except CannotStartError as error:
        raise click.ClickException(str(error)) from error
    if faults:
        click.echo("No result: not all arrived, or not all of it is in the bundle.", err=True)
        for fault in faults[:20]:
            click.echo(f"  {fault}", err=True)
        sys.exit(1)
    click.echo(report)


if __name__ == "__main__":
    main(prog_name="python -m bench")
