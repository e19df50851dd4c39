"""Decides who may look: it answers nothing itself.

A trace holds what was said to a model. On loopback every web page that this machine's browser has
open could ask for it, so Host is checked against DNS rebinding, and requests of other sites are
refused; beyond loopback a token is asked for.
"""

import hmac
import ipaddress
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

TOKEN_BYTES = 24
"""Of a token that is made here: nobody guesses 192 bits."""

# RFC 9110, 7.2 and RFC 3986, 3.2.2: a host, a port behind it or none.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request says of itself that decides whether it is answered."""

    method: str
    host: str | None
    origin: str | None
    fetch_site: str | None
    """`Sec-Fetch-Site` and `Sec-Fetch-Mode`, which a page's scripts cannot set."""
    fetch_mode: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not answered: a status, and a sentence for a person."""

    status: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may look. `hosts` are names that we go by, in lower case, beside loopback's."""

    hosts: frozenset[str]
    takes_any_address: bool
    """Whether an IP address as Host is ours, whichever: no name can be rebound to make one."""
    token: str | None

    def refusal(self, asked: Asked) -> Refusal | None:
        """Why this request is refused, or None."""
        return _refuse_method(asked) or self._refuse_host(asked) or _refuse_site(asked)

    def admits(self, token: str | None) -> bool:
        """Whether this is the token; told in the same time, however much of it is right."""
        if self.token is None or token is None:
            return False
        return hmac.compare_digest(token.encode(errors="replace"), self.token.encode())

    def _refuse_host(self, asked: Asked) -> Refusal | None:
        name = _host_name(asked.host)
        if name is not None and (
            is_loopback(name) or name in self.hosts or (self.takes_any_address and _is_ip(name))
        ):
            return None
        message = (
            "The name that this page was asked for by is not one of its own. Open it by the address"
            " that tailrace printed; the setting allowed_hosts can add a name."
        )
        return Refusal(status=403, message=message)


def access_for(host: str, token: str | None, allowed_hosts: Collection[str]) -> Access:
    """Who may look where one listens on `host`. Beyond loopback a token is made, if none is given.

    A token that is given is asked for on loopback too.
    """
    is_open = not is_loopback(host.lower())
    return Access(
        hosts=frozenset(name.lower() for name in (host, *allowed_hosts)),
        takes_any_address=is_open,
        token=token or (secrets.token_urlsafe(TOKEN_BYTES) if is_open else None),
    )


def is_loopback(name: str) -> bool:
    """Whether a lower-case host name means this machine alone."""
    if name.rstrip(".") == "localhost":
        return True
    return _is_ip(name) and ipaddress.ip_address(name).is_loopback


def _refuse_method(asked: Asked) -> Refusal | None:
    if asked.method in {"GET", "HEAD"}:
        return None
    return Refusal(status=405, message="This page only shows: it takes GET and HEAD.")


def _refuse_site(asked: Asked) -> Refusal | None:
    """Refuse what the page of another origin asks for; following a link to us is no such thing."""
    refusal = Refusal(status=403, message="Requests that pages of other origins make are refused.")
    if asked.origin is not None:
        try:
            place = urlsplit(asked.origin).netloc.lower()
        except ValueError:
            return refusal
        return None if place and place == (asked.host or "").lower() else refusal
    if is_asked_by_us(asked) or asked.fetch_mode == "navigate":
        return None
    return refusal


def is_asked_by_us(asked: Asked) -> bool:
    """Whether no other site had it asked for: our own page did, or a person, as far as is told."""
    return asked.fetch_site in {None, "same-origin", "none"}


def _host_name(host: str | None) -> str | None:
    found = _HOST.fullmatch(host or "")
    return found[1].strip("[]").lower() if found else None


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
