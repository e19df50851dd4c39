"""`tailrace export`: a call, a thread or a bundle as another tool reads it."""

from pathlib import Path

import click

from ..selector import NoSuchSelection, Target, select
from .options import fail, trace_dir_options
from .reading import open_catalog


@click.command(name="export")
@click.option(
    "--format",
    "form",
    type=click.Choice(["codex", "html"]),
    required=True,
    help="codex: a bundle for `codex debug trace-reduce`; html: a page in one file.",
)
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="The file to write, or with codex the directory; - prints html.",
)
@click.argument("selector", metavar="SELECTOR|BUNDLE")
@trace_dir_options
def command(selector: str, *, form: str, output: Path, trace_dir: Path) -> None:
    """Write a call, a thread or a bundle for another tool to read.

    SELECTOR is the id of a call, response, request or thread, its beginning or its end, or `last`;
    BUNDLE is a directory, which only codex takes. Nothing is overwritten.
    """
    if form == "html":
        from .html_export import export_html

        export_html(selector, trace_dir, output)
    else:
        _export_codex(selector, trace_dir, output)


def _export_codex(selector: str, trace_dir: Path, output: Path) -> None:
    from reducer import NotABundle
    from reducer.export_codex import Selection, export_codex

    from ..export import AlreadyThere, is_stdout, write_bundle

    if is_stdout(output):
        raise click.UsageError("codex makes a directory, which cannot be printed; give -o DIR")
    bundle, selection = Path(selector), Selection()
    if not bundle.is_dir():
        found = _selected(selector, trace_dir)
        bundle = found.bundle
        is_thread = found.call_id is None
        thread_id = found.thread_id if is_thread else None
        selection = Selection(thread_id=thread_id, call_id=found.call_id)
    try:
        write_bundle(output, export_codex(bundle, selection))
    except (NotABundle, AlreadyThere) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{bundle} cannot be written as {output}: {error.strerror}")


def _selected(selector: str, trace_dir: Path) -> Target:
    with open_catalog(trace_dir) as catalog:
        try:
            return select(selector, catalog)
        except NoSuchSelection as error:
            fail(*error.lines)
