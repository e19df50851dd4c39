"""Decides which requests are refused, and never sent on; it answers nothing itself.

Whoever can reach the port can use the upstream through it, so a web page must not be able to: Host
is checked against DNS rebinding, Origin against requests that other sites make.
"""

import ipaddress
import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from tracing.redaction import RawHeaders

from .errors import Refusal

_DOT_SEGMENTS = frozenset({".", ".."})
# RFC 9110, 7.2 and RFC 3986, 3.2.2: a host, a port behind it or none. http has no empty one.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]*)?")
# Without leading zeros, which some take for octal.
_LENGTH = re.compile(rb"0|[1-9][0-9]*")
_REMEMBERED_HOST_BYTES_MAX = 256
_HTTP_1_0 = (1, 0)
_HTTP_1_1 = (1, 1)


def refuse(
    *,
    method: str,
    target: str,
    version: tuple[int, int],
    headers: RawHeaders,
    allowed_hosts: frozenset[str],
    header_bytes_max: int,
) -> Refusal | None:
    """Return why the request is refused, or None. ``target`` is as on the request line."""
    return (
        _refuse_size(target, headers, header_bytes_max)
        or _refuse_target(method, target)
        or _refuse_framing(version, headers)
        or _refuse_version(version)
        or _refuse_origin(headers, allowed_hosts)
    )


def _refuse_size(target: str, headers: RawHeaders, header_bytes_max: int) -> Refusal | None:
    size = len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if size <= header_bytes_max:
        return None
    message = f"the request head has {size} bytes; {header_bytes_max} are allowed"
    return Refusal(status=431, code="headers_too_large", message=message)


def _refuse_target(method: str, target: str) -> Refusal | None:
    if method == "CONNECT":
        return Refusal(status=405, code="method_not_allowed", message="CONNECT is not relayed")
    if not target.startswith("/"):
        message = "the request target must be a path: this is no forward proxy"
        return Refusal(status=400, code="bad_request_target", message=message)
    if "#" in target:
        message = "the request target must not have a fragment"
        return Refusal(status=400, code="bad_request_target", message=message)
    path = target.partition("?")[0]
    if path.startswith("//"):
        message = "the request target must not begin with two slashes"
        return Refusal(status=400, code="bad_request_target", message=message)
    may_have_dots = "." in path or "%" in path  # most have neither
    if may_have_dots and any(map(_is_dots, re.split(r"[/\\]", path))):
        message = "the path must not have dot segments"
        return Refusal(status=400, code="bad_request_target", message=message)
    return None


def _is_dots(segment: str) -> bool:
    """Tell whether any upstream would go up by it: decoded once, and parameters taken off.

    %2F stays within its segment; a backslash is a slash to some.
    """
    return unquote(segment).partition(";")[0] in _DOT_SEGMENTS


def _refuse_framing(version: tuple[int, int], headers: RawHeaders) -> Refusal | None:
    """Refuse what two parsers may frame differently (RFC 9112, 6.1): request smuggling."""
    codings: list[bytes] = []
    for name, value in headers:
        match name.lower():
            case b"transfer-encoding":
                codings.append(value)
            case b"content-length" if not _LENGTH.fullmatch(value):
                message = "Content-Length must be a plain number"
                return Refusal(status=400, code="bad_framing", message=message)
            case b"content_length" | b"transfer_encoding":
                message = "some servers take that underscore for a hyphen, and frame by it"
                return Refusal(status=400, code="bad_framing", message=message)
    if not codings:
        return None
    if tuple(version) != _HTTP_1_1:
        message = "Transfer-Encoding is for HTTP/1.1 alone"
        return Refusal(status=400, code="bad_framing", message=message)
    if len(codings) > 1 or codings[0].strip().lower() != b"chunked":
        message = "chunked is the only transfer coding that is relayed"
        return Refusal(status=400, code="bad_framing", message=message)
    return None


def _refuse_version(version: tuple[int, int]) -> Refusal | None:
    """Refuse what would be sent on as HTTP/1.1 without being it (RFC 9112, 2.3)."""
    if _HTTP_1_0 <= tuple(version) <= _HTTP_1_1:
        return None
    message = "HTTP/1.1 is spoken here, and HTTP/1.0"
    status = 400 if tuple(version) < _HTTP_1_0 else 505
    return Refusal(status=status, code="bad_http_version", message=message)


def _refuse_origin(headers: RawHeaders, allowed_hosts: frozenset[str]) -> Refusal | None:
    for name, value in headers:
        match name.lower():
            case b"host" if not _HOST.fullmatch(value):
                message = "the Host is not a host, with a port or without"
                return Refusal(status=400, code="bad_host", message=message)
            case b"host" if not _is_own_host(value, allowed_hosts):
                message = "the Host is not this proxy's; allowed_hosts can add one"
                return Refusal(status=403, code="host_not_allowed", message=message)
            case b"origin" if not is_allowed(_hostname(_text(value)), allowed_hosts):
                message = "requests that pages of other origins make are refused"
                return Refusal(status=403, code="origin_not_allowed", message=message)
    return None


def _is_own_host(value: bytes, allowed_hosts: frozenset[str]) -> bool:
    # A client names the same one in every request; a long one is not worth the memory.
    if len(value) <= _REMEMBERED_HOST_BYTES_MAX:
        return _is_remembered_host(value, allowed_hosts)
    return is_allowed(_hostname(f"//{_text(value)}"), allowed_hosts)


@lru_cache(maxsize=256)
def _is_remembered_host(value: bytes, allowed_hosts: frozenset[str]) -> bool:
    return is_allowed(_hostname(f"//{_text(value)}"), allowed_hosts)


def is_allowed(hostname: str | None, allowed_hosts: Collection[str]) -> bool:
    """Tell whether a host name is a loopback one, or one of the lower-case ``allowed_hosts``."""
    if hostname is None:
        return False
    if hostname == "localhost" or hostname in allowed_hosts:
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def _hostname(url: str) -> str | None:
    """Return the lower-case host of a URL, or None where it has none that can be trusted."""
    if re.search(r"[\s\\@]", url):
        return None
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _text(value: bytes) -> str:
    return value.decode("latin-1")
