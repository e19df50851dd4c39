"""The header fields of our answers, which tell a browser what none of them may do."""

from collections.abc import Mapping

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

EVERYWHERE: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What is on the page may be private, and is another a moment later.
    "Cache-Control": "no-store",
}

RAW: Mapping[str, str] = {
    **EVERYWHERE,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}

STATIC: Mapping[str, str] = {**EVERYWHERE, "Cache-Control": "no-cache"}
