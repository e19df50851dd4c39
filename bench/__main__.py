"""The command: `python -m bench [SCENARIO ...]`; without a scenario, all of them."""

import sys
from collections.abc import Mapping, Sequence

import click

from . import scenarios, websocket
from .contenders import Contender, contenders, installed
from .process import CannotStartError
from .report import DIRECT, NGINX, machine, versions

WEBSOCKET = "websocket"
NAMES = [*scenarios.SCENARIOS, WEBSOCKET]
RELAYS = [*contenders(), DIRECT]


def _split(_context: click.Context, _param: click.Parameter, value: str | None) -> list[str] | None:
    if value is None:
        return None
    unknown = sorted(set(value.split(",")) - set(RELAYS))
    if unknown:
        raise click.BadParameter(f"no contender {unknown[0]}; there are {', '.join(RELAYS)}")
    return value.split(",")


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1, type=click.Choice(NAMES))
@click.option("--rounds", default=5, show_default=True, help="Rounds; figures are their medians.")
@click.option("--seconds", type=float, help="How long each run lasts, in place of its own length.")
@click.option(
    "--contenders",
    "relays",
    metavar="A,B",
    callback=_split,
    help=f"Relays to compare, instead of all: {', '.join(RELAYS)} (which is no relay).",
)
def main(
    names: tuple[str, ...], rounds: int, seconds: float | None, relays: list[str] | None
) -> None:
    """Measure what the proxy costs, beside others, on this machine."""
    chosen = None
    if relays is not None:
        chosen = installed([name for name in relays if name != DIRECT])
        absent = set(relays) - {DIRECT, *chosen}
        if absent:
            raise click.ClickException(f"{min(absent)} is not installed")
    with_direct = relays is None or DIRECT in relays
    click.echo(f"{machine()}; {versions(_versions(relays or RELAYS))}")
    for name in names or NAMES:
        _show(name, chosen, rounds, seconds, with_direct=with_direct)


def _versions(relays: Sequence[str]) -> dict[str, str | None]:
    """The versions of others than us; None stands for what is not installed."""
    others = {name: contenders()[name].version for name in relays if name != DIRECT}
    return {name: version for name, version in others.items() if version != ""}


def _show(
    name: str,
    chosen: Mapping[str, Contender] | None,
    rounds: int,
    seconds: float | None,
    *,
    with_direct: bool,
) -> None:
    """Run a scenario and print its report, or why there is none."""
    try:
        if name == WEBSOCKET:
            has_nginx = chosen is None or NGINX in chosen
            report, faults = websocket.run(websocket.Plan.lasting(seconds, rounds, nginx=has_nginx))
        else:
            report, faults = scenarios.run(
                name, chosen, rounds=rounds, seconds=seconds, with_direct=with_direct
            )
    except CannotStartError as error:
        raise click.ClickException(str(error)) from error
    if faults:
        click.echo(f"{name}: no result, since not all arrived, or not all is kept.", err=True)
        for fault in faults[:20]:
            click.echo(f"  {fault}", err=True)
        sys.exit(1)
    click.echo(f"\n{report}")


if __name__ == "__main__":
    main(prog_name="python -m bench")
