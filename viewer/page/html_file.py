"""Makes one call or one conversation into a single HTML file that loads nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from ..call.reading import read_story
from ..catalog.catalog import Catalog
from ..catalog.queries import call_before, call_by_id
from ..catalog.rows import CallRow
from ..thread.reading import read_thread
from .call_page import events_of, story_context
from .call_parts import FILE, THREAD_FILE
from .templating import environment
from .thread_page import thread_context

STATIC = Path(__file__).parent / "static"
EVENTS_MAX = 2000
"""Of a call's events; a browser lays out that many rows at once without being noticed."""

REQUESTS_MAX = 1000
"""Of a conversation's requests."""


def call_as_html(catalog: Catalog, row: CallRow) -> str:
    """The page of a call as a file. Raises CallUnreadable, and OSError."""
    context: dict[str, object] = {"row": row, "events": events_of(row, 0, EVENTS_MAX)}
    story = read_story(row, call_before(catalog, row))
    return _file("call_file", ["call.css"], context | story_context(story, FILE))


def thread_as_html(catalog: Catalog, row: CallRow) -> str:
    """The conversation that a call is in, as a file. Raises OSError."""
    thread = read_thread(catalog, row.conversation, limit=REQUESTS_MAX)
    context: dict[str, object] = {
        "row": row,
        "first_call": call_by_id(catalog, row.conversation),
    }
    return _file(
        "thread_file", ["call.css", "thread.css"], context | thread_context(thread, THREAD_FILE)
    )


def _file(template: str, style_sheets: Sequence[str], context: Mapping[str, object]) -> str:
    style = "".join((STATIC / name).read_text() for name in ("tailrace.css", *style_sheets))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    own = {
        "is_file": True,
        "style": Markup(style),  # noqa: S704 (our own style sheets)
        # Nothing is loaded from anywhere, and no style or script runs but the style above.
        "policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'",
    }
    return environment().get_template(f"{template}.html").render({**context, **own})
