"""Finds upstream's id of a request in a response's head; it is never a response's id."""

from .redaction import RawHeaders

UPSTREAM_REQUEST_ID_HEADERS = (
    "x-request-id",
    "x-oai-request-id",
    "apim-request-id",
    "x-amzn-requestid",
)
"""Where an upstream puts its request's id, best first: OpenAI, Codex's backend, Azure, AWS."""


def upstream_request_id(headers: RawHeaders) -> tuple[str | None, str | None]:
    """Return upstream's id of the request and the name of the header that it came in."""
    found = {name.lower(): value for name, value in headers}
    for header in UPSTREAM_REQUEST_ID_HEADERS:
        if value := found.get(header.encode()):
            return value.decode(errors="replace"), header
    return None, None
