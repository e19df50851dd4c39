"""The page's server as an application: who may ask, which page it is, and what goes wrong."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Middleware

from tracing.bundle_reader import NotABundle

from ..call.evidence import CallUnreadable
from ..call.live import LiveCalls
from ..catalog.catalog import Catalog, NoTraces
from . import call_page, calls_page, comparison_page, headers, thread_page
from .access import Access, Asked, is_asked_by_us
from .failures import place_of
from .freshness import Freshness
from .readers import Readers, SharedLiveCalls
from .static_files import static_files
from .templating import SHARED, rendered
from .updates import Updates
from .view import Html, NotFound, Query, Raw, Route, View, encoded

READERS = 3
"""Pages that are made at a time; they share one interpreter, so more would gain little."""

COMPRESSED_BYTES_MIN = 4 * 1024
COMPRESSED_BYTES_MAX = 16 * 1024 * 1024
"""Of an answer that is compressed: a smaller one fits into a few packets as it is, and for a larger
one, which is raw bytes of a bundle, one would wait."""

ADDRESS_NEEDED = "Open this page by the whole address that tailrace printed: it has a token in it."
STYLE = "/static/tailrace.css"
"""No secret, and the page that says what is missing has it as well."""
STILL_READING = "The traces are still being read. This page is shown when what is on it has been."
BUNDLE_GONE = "What this page shows was removed, or its bundle cannot be read."

_ROUTES = (*calls_page.ROUTES, *call_page.ROUTES, *thread_page.ROUTES, *comparison_page.ROUTES)

_HEADINGS = {
    403: "Not allowed",
    404: "Not here",
    405: "Not allowed",
    500: "Something failed",
    503: "Not read yet",
}

_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What all handlers have in common."""

    trace_dir: Path
    access: Access
    cookie: str
    readers: Readers
    freshness: Freshness
    live: LiveCalls


def make_app(trace_dir: Path, access: Access, *, port: int) -> web.Application:
    """The application that shows this trace directory; `port` is in the name of its cookie."""
    live = SharedLiveCalls()
    refresher = Readers(trace_dir, 1)
    page = _Page(
        trace_dir=trace_dir,
        access=access,
        # Browsers keep one set of cookies for all ports of a host.
        cookie=f"tailrace_page_{port}",
        readers=Readers(trace_dir, READERS),
        freshness=Freshness(refresher, live),
        live=live,
    )
    updates = Updates(page.freshness)
    app = web.Application(middlewares=[_answering(page)])
    app.router.add_get("/updates", updates.handle, allow_head=False)
    for name, file in static_files().items():
        app.router.add_get(f"/static/{name}", file)
    for route in _ROUTES:
        app.router.add_get(route.path, _handler(page, route))

    async def end_streams(_: web.Application) -> None:
        updates.end()

    async def end_threads(_: web.Application) -> None:
        await page.freshness.close()
        refresher.close()
        page.readers.close()

    app.on_shutdown.append(end_streams)
    app.on_cleanup.append(end_threads)
    app.on_response_prepare.append(_add_headers)
    return app


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in headers.EVERYWHERE.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "tailrace"


def _answering(page: _Page) -> Middleware:
    """What is around every answer: access before it, and a page of ours for what went wrong."""

    @web.middleware
    async def answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
        access = page.access
        refusal = access.refusal(_asked(request))
        if refusal is not None:
            return _refused(refusal.status, refusal.message)
        if access.token is not None and request.path != STYLE:
            if access.admits(request.query.get("token")):
                return _with_cookie(page, request)
            if not access.admits(request.cookies.get(page.cookie)):
                return _refused(403, ADDRESS_NEEDED, may_try_again=True)
        try:
            return _compressed(request, await handler(request))
        except web.HTTPException as error:
            return _failure(page, request, error.status, "There is no such page.")
        except (NotFound, CallUnreadable) as missing:
            if page.freshness.is_reading:
                return _failure(page, request, 503, STILL_READING)
            return _failure(page, request, 404, str(missing))
        except (NotABundle, OSError) as error:
            _log.warning("%s: %s", request.path, error)
            return _failure(page, request, 404, BUNDLE_GONE)
        except Exception as error:  # noqa: BLE001 - the log says where; the page, that it failed
            _log.error("%s failed: %s", request.path, place_of(error))
            return _failure(page, request, 500, "The log of this process says where.")

    return answer


def _compressed(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Let a large page be sent compressed, where whoever asks takes that.

    No page holds the token, but what was said to a model is private as well. A site that could have
    its own guesses put into our pages, and could see how long they are, would learn from the length
    what else is in them (BREACH). So what another site had the browser open comes as it is.
    """
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response  # a stream of updates, whose pieces must not wait for each other
    is_worth_it = COMPRESSED_BYTES_MIN <= len(response.body) <= COMPRESSED_BYTES_MAX
    # What has a tag is kept by the browser, and a tag is of one form of it.
    if is_worth_it and "ETag" not in response.headers and is_asked_by_us(_asked(request)):
        response.enable_compression()
    return response


def _asked(request: web.Request) -> Asked:
    fields = request.headers
    return Asked(
        method=request.method,
        host=fields.get("Host"),
        origin=fields.get("Origin"),
        fetch_site=fields.get("Sec-Fetch-Site"),
        fetch_mode=fields.get("Sec-Fetch-Mode"),
    )


def _with_cookie(page: _Page, request: web.Request) -> web.Response:
    """Let the browser keep the token, and take it out of the address that people share."""
    assert page.access.token is not None
    query = [(name, value) for name, value in request.query.items() if name != "token"]
    # One slash at its front: two would name another host.
    path = "/" + quote(request.path.lstrip("/"), safe="/", errors="replace")
    response = web.Response(status=303, headers={"Location": path + encoded(query)})
    response.set_cookie(page.cookie, page.access.token, httponly=True, samesite="Strict", path="/")
    return response


def _handler(page: _Page, route: Route) -> _Handler:
    async def handle(request: web.Request) -> web.Response:
        await page.freshness.catch_up()
        common = _common(page)
        if request.query.get("fragment") in SHARED:
            return _html("notices", common, status=200)

        def make(catalog: Catalog) -> web.Response:
            return _response(route, _view(page, request, catalog), common)

        try:
            return await page.readers.run(make)
        except NoTraces as none:
            told = {"here": "calls", "why": str(none), "problem": None}
            return _html("empty", {**common, **told}, status=200 if route.path == "/" else 404)

    return handle


def _view(page: _Page, request: web.Request, catalog: Catalog) -> View:
    # Without scripts a form sends its empty fields, too.
    query = tuple((name, value) for name, value in request.query.items() if value)
    return View(
        catalog=catalog,
        live=page.live,
        path=dict(request.match_info),
        query=Query(tuple(pair for pair in query if pair[0] != "fragment")),
        fragment=request.query.get("fragment") or None,
        now_unix_ms=time.time_ns() // 1_000_000,
    )


def _response(route: Route, view: View, common: Mapping[str, object]) -> web.Response:
    """In a reader's thread: the page, as it is sent."""
    match route.page(view):
        case Raw() as raw:
            return web.Response(
                body=raw.body, content_type=raw.content_type, charset="utf-8", headers=headers.RAW
            )
        case Html() as html:
            text = rendered(html, view.fragment, {**common, "view": view})
            return _as_html(text, html.status)


def _common(page: _Page) -> dict[str, object]:
    """What every template may tell."""
    freshness = page.freshness
    return {
        "trace_dir": str(page.trace_dir),
        "version": freshness.version,
        "is_reading": freshness.is_reading,
        "progress": freshness.progress,
        "problem": freshness.problem or freshness.nothing,
        "damages": freshness.damages,
        "now": time.time_ns() // 1_000_000,
        "here": "",
    }


def _refused(status: int, message: str, *, may_try_again: bool = False) -> web.Response:
    """A page for who may not look: it tells nothing of what is here."""
    context = {
        "heading": _HEADINGS[status],
        "message": message,
        # By this link a browser sends the cookie that a link from elsewhere kept it from sending.
        "may_try_again": may_try_again,
    }
    return _html("refused", context, status=status)


def _failure(page: _Page, request: web.Request, status: int, message: str) -> web.Response:
    """A page that says what is the matter; to a script that wants a region, a line."""
    context = {**_common(page), "heading": _HEADINGS.get(status, "Not here"), "message": message}
    if "fragment" in request.query or request.path.startswith("/static/"):
        return web.Response(status=status, text=f"{message}\n")
    return _html("failure", context, status=status)


def _html(template: str, context: Mapping[str, object], *, status: int) -> web.Response:
    return _as_html(rendered(Html(template), None, context), status)


def _as_html(text: str, status: int) -> web.Response:
    body = text.encode(errors="backslashreplace")
    return web.Response(status=status, body=body, content_type="text/html", charset="utf-8")
