"""What of a head, and of a body that is no JSON, may be kept.

Secrets are told here by where they stand. JSON bodies have a module of their own, body_redaction;
finding a known secret wherever it stands is the masking module's part.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from .body_redaction import RedactedBody, may_hide_more, redact_body
from .credentials import (
    REDACTED,
    as_bytes,
    credential_forms,
    is_secret_name,
    redact_query,
    redact_urls,
)

__all__ = [
    "REDACTED",
    "RawHeaders",
    "RedactedBody",
    "header_secrets",
    "kept_headers",
    "may_hide_more",
    "redact_body",
    "redact_query",
    "redact_text",
    "set_cookie_secrets",
]

_REMEMBERED_BYTES_MAX = 512

RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Names and values as they came, duplicates and order included: aiohttp's `raw_headers`."""

_KEPT_HEADERS = frozenset(
    {
        "apim-request-id",
        "cf-ray",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "openai-model",
        "openai-organization",
        "openai-processing-ms",
        "openai-project",
        "openai-version",
        "retry-after",
        "retry-after-ms",
        "server",
        "x-amzn-requestid",
        "x-codex-turn-state",
        "x-models-etag",
        "x-oai-request-id",
        "x-openai-authorization-error",
        "x-reasoning-included",
        "x-request-id",
        "x-should-retry",
    }
)
_KEPT_PREFIXES = ("x-ratelimit-", "x-codex-primary-", "x-codex-secondary-")

_SECRET_HEADERS = frozenset({"chatgpt-account-id", "x-oai-attestation"})

_SUBPROTOCOL_KEY = "openai-insecure-api-key."
"""How browsers hand an API key to a WebSocket of OpenAI's: as one of the subprotocols."""

_FIELD = (
    r"(?:proxy-)?authorization|(?:x-)?api[-_]?key|(?:access|refresh|auth|bearer)_token"
    r"|client_secret|password"
)
# The opening quote and the rest of a string, also of one that is cut short or escaped in another.
_STRING = r"""(?:"(?:[^"\\]|\\.)*+|'(?:[^'\\]|\\.)*+|\\+["'](?:(?!\\+["']).)*+)"""
_QUOTE = re.compile(r"""\\*["']""")
_FIELD_IN_JSON = re.compile(
    rf"""(?is)(["'](?:{_FIELD})\\*["']\s*:\s*)({_STRING})""",
)
_FIELD_IN_TEXT = re.compile(
    rf"""(?i)\b((?:{_FIELD})\s*[:=]\s*)((?:(?:bearer|basic|token)\s+)?[^\s"'\\&,;<>]+)"""
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)([a-z0-9._~+/-]+=*)")
_SECRETS_IN_JSON = re.compile(
    rf"""(?is)(["'](?:headers|{_FIELD})\\*["']\s*:\s*)([{{\[](?:{_STRING}\\*["']?|[^}}"'\\])*)"""
)
_DOMAIN_SECRETS_IN_JSON = re.compile(
    rf"""(?s)["']domain_secrets\\*["']\s*:\s*\[(?:{_STRING}\\*["']?|[^\[\]"'\\])*"""
)
_STRING_OR_KEY = re.compile(rf"""(?s)({_STRING})((?:\\*["'])?+)(\s*+:)?""")
_VALUE_MEMBER = re.compile(rf"""(?s)(["']value\\*["']\s*:\s*)({_STRING})""")


def kept_headers(headers: RawHeaders) -> dict[str, str]:
    """Return the response headers that a trace keeps: an allow-list, under lower-case names.

    Repeated ones are joined by a comma (RFC 9110 section 5.3). Not kept, among all others:
    `set-cookie`, and `x-error-json`, whose base64 could hide a secret from the masks.
    """
    kept: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if name in _KEPT_HEADERS or name.startswith(_KEPT_PREFIXES):
            value, _ = redact_urls(raw_value.decode("utf-8", "replace"))
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


def header_secrets(headers: RawHeaders) -> tuple[bytes, ...]:
    """Return the secret values in a head, in the forms in which they may turn up elsewhere.

    For a request and for a response's `set-cookie`. Short ones are among them: masking skips those.
    """
    return tuple(dict.fromkeys(secret for field in headers for secret in _field_secrets(field)))


def _field_secrets(field: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    # A client sends most fields with every call; large ones are few, and not worth the memory.
    if len(field[0]) + len(field[1]) <= _REMEMBERED_BYTES_MAX:
        return _remembered_secrets(field)
    return _secrets_in_field(field)


@lru_cache(maxsize=1024)
def _remembered_secrets(field: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    return _secrets_in_field(field)


def _secrets_in_field(field: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    name = field[0].decode("latin-1").lower()
    value = field[1].decode("utf-8", "surrogateescape")
    found = [as_bytes(form) for form in _secrets_in_header(name, value)]
    return tuple(secret for secret in (*found, *redact_urls(value)[1]) if secret)


def set_cookie_secrets(headers: RawHeaders) -> tuple[bytes, ...]:
    """Return the cookies that a response's head sets: the client's secrets from then on."""
    return header_secrets(tuple(field for field in headers if field[0].lower() == b"set-cookie"))


def _secrets_in_header(name: str, value: str) -> Iterator[str]:
    if name in ("cookie", "set-cookie"):
        # In Set-Cookie, what follows the first pair are attributes: paths, dates.
        pairs = value.split(";") if name == "cookie" else [value.partition(";")[0]]
        for pair in pairs:
            left, equals, right = pair.partition("=")
            yield (right if equals else left).strip().strip('"')
    elif name == "sec-websocket-protocol":
        for offered in value.split(","):
            if offered.strip().startswith(_SUBPROTOCOL_KEY):
                yield offered.strip().removeprefix(_SUBPROTOCOL_KEY)
    elif name in _SECRET_HEADERS or is_secret_name(name):
        yield from credential_forms(value)


def redact_text(data: bytes) -> bytes:
    """Replace by pattern what redact_body finds by structure, in a body that is no JSON.

    For JSON that is cut short or not strict, forms, and error pages. Any bytes are taken as text;
    those that need no change come back as they were.
    """
    text = data.decode("utf-8", "surrogateescape")
    text = _SECRETS_IN_JSON.sub(_with_strings_hidden, text)
    text = _DOMAIN_SECRETS_IN_JSON.sub(_with_values_hidden, text)
    for pattern in (_FIELD_IN_JSON, _FIELD_IN_TEXT, _BEARER):
        text = pattern.sub(_hidden, text)
    return redact_urls(text)[0].encode("utf-8", "surrogateescape")


def _with_strings_hidden(block: re.Match[str]) -> str:
    return block[1] + _STRING_OR_KEY.sub(_hidden_unless_key, block[2])


def _hidden_unless_key(match: re.Match[str]) -> str:
    string, end, colon = match.groups()
    quote = _QUOTE.match(string)
    if colon is not None or quote is None:
        return match[0]
    return f"{quote[0]}{REDACTED}{end}"


def _with_values_hidden(block: re.Match[str]) -> str:
    return _VALUE_MEMBER.sub(_hidden, block[0])


def _hidden(match: re.Match[str]) -> str:
    quote = _QUOTE.match(match[2])
    return f"{match[1]}{quote[0] if quote else ''}{REDACTED}"
