"""The page's styles, scripts and icon: a fixed set of files, read once."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from . import headers

STATIC = Path(__file__).parent / "static"

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def static_files() -> dict[str, Callable[[web.Request], Awaitable[web.Response]]]:
    """What answers a request for each file, by its name."""
    return {
        path.name: _answering(path) for path in sorted(STATIC.iterdir()) if path.suffix in _TYPES
    }


def _answering(path: Path) -> Callable[[web.Request], Awaitable[web.Response]]:
    body = path.read_bytes()
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    fields = {**headers.STATIC, "ETag": tag}

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=fields)
        return web.Response(
            body=body, content_type=_TYPES[path.suffix], charset="utf-8", headers=fields
        )

    return answer
