"""Puts what a page tells into its template. Whatever is put there is escaped."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

from .. import figures
from . import formats, links, texts
from .view import Html, NotFound

TEMPLATES = Path(__file__).parent / "templates"

SHARED = frozenset({"notices"})
"""Regions that every page has, and that need nothing of it."""


def rendered(page: Html, fragment: str | None, common: Mapping[str, object]) -> str:
    """The page as HTML, or the region of it that is named: a template such as `call.tools.html`.

    Raises NotFound where the page has no such region.
    """
    name = page.template if fragment is None else f"{page.template}.{fragment}"
    try:
        template = environment().get_template(f"{name}.html")
    except TemplateNotFound as missing:
        if fragment is None or missing.name != f"{name}.html":
            raise
        raise NotFound("This page has no such part.") from None
    return template.render({**common, **page.context})


@cache
def environment() -> Environment:
    """All templates, with the filters and functions that they use."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "beginning": formats.beginning,
        "bytes": formats.size,
        "clock": figures.clock,
        "count": formats.count,
        "day": formats.day,
        "legible": formats.legible,
        "ms": figures.duration,
        "stamp": formats.stamp,
        "text": texts.as_text,
        "tokens": figures.tokens,
    }
    made.globals |= {
        "call_key": links.call_key,
        "call_url": links.call_url,
        "comparison_url": links.comparison_url,
        "thread_url": links.thread_url,
    }
    return made
