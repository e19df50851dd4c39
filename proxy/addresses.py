"""Addresses as people write them in settings: listen addresses and URLs, taken apart."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpURL:
    host: str
    port: int
    userinfo: bool
    has_query_or_fragment: bool


_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]|[^\x00-\x7f]")


def http_url(value: str) -> HttpURL:
    """The parts of an absolute http or https URL. Raises ValueError, saying what is allowed."""
    allowed = "an http:// or https:// URL, such as https://api.openai.com/v1"
    if _NOT_IN_A_URL.search(value):
        raise ValueError(allowed)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(allowed) from None
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not _is_host(host):
        raise ValueError(allowed)
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return HttpURL(
        host=host,
        port=port,
        userinfo="@" in parts.netloc,
        has_query_or_fragment="?" in value or "#" in value,
    )


def _is_host(host: str) -> bool:
    """Whether it can be looked up: a label has 1 to 63 bytes (RFC 1035, 2.3.4)."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})")


def host_and_port(listen: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPv6]:PORT` taken apart. Raises ValueError, saying what is allowed."""
    match = _ADDRESS.fullmatch(listen)
    if match is not None and int(match["port"]) <= 65535:
        if match["v6"] is None:
            return match["name"], int(match["port"])
        if _is_ip(match["v6"]):
            return match["v6"], int(match["port"])
    raise ValueError("HOST:PORT, such as 127.0.0.1:8787 or [::1]:8787; port 0 takes any free one")


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_same_place(upstream: tuple[str, int], listen: tuple[str, int]) -> bool:
    """Whether a request to `upstream` would come back to a proxy that listens on `listen`."""
    if upstream[1] != listen[1]:
        return False
    asked, bound = upstream[0].lower(), listen[0].lower()
    if asked == bound:
        return True
    return _is_this_machine(asked) and _is_this_machine(bound)


def _is_this_machine(host: str) -> bool:
    """Loopback, or the address that stands for all of a machine's."""
    if not _is_ip(host):
        return host.rstrip(".") == "localhost"
    return ip_address(host).is_loopback or ip_address(host).is_unspecified
