"""Replace the secrets that a Responses request or response carries in its JSON body.

Secrets are told by where they stand: an MCP tool's `authorization` and `headers`, a container's
`domain_secrets`, fields of a few names, credentials in URLs. Prompts and outputs are content.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from .credentials import (
    REDACTED,
    as_bytes,
    credential_forms,
    is_secret_name,
    redact_urls,
)
from .masking import found_in, mask
from .strict_json import dumps

_SECRET_FIELDS = frozenset(
    {
        "authorization",
        "Authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "api_key",
        "apikey",
        "apiKey",
        "access_token",
        "refresh_token",
        "auth_token",
        "bearer_token",
        "client_secret",
        "password",
    }
)
"""Fewer than for headers: in logprobs `token` is a piece of text, in filters `key` an attribute."""

_ORDINARY_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "content-type",
        "origin",
        "user-agent",
    }
)
"""Replaced in an MCP tool like its other headers, but no secrets to search for: `application/json`
would be masked everywhere."""

_SPECIAL_FIELDS = _SECRET_FIELDS | {"headers", "domain_secrets", "server_label"}

_DOMAIN_SECRET_LABELS = frozenset({"domain", "name", "type"})


class _Holds(Enum):
    """What the scalars of a container are."""

    CONTENT = auto()
    HEADERS = auto()  # secrets where the name says so
    SECRETS = auto()  # secrets, all of them
    DOMAIN_SECRETS = auto()  # secrets, all but the labels


# A container and how it was reached: (container, holds, the parent's place or -1, key in it).
# A bare tuple, since one is made for every container of every body.
_Place = tuple[Any, _Holds, int, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedBody:
    """A body without its secrets.

    `value` is the very object that was given, if nothing was found. `pointers` (RFC 6901) resolve
    in the original. `secrets` are the values found, to be masked wherever else they turn up.
    """

    value: object
    pointers: tuple[str, ...]
    secrets: tuple[bytes, ...]


_TELLTALES = (b"://", b":\\/", *(f'"{field}"'.encode() for field in sorted(_SPECIAL_FIELDS)))


def may_hide_more(data: bytes, value: object) -> bool:
    """Whether JSON may hold a secret that the ``value`` parsed from it does not show.

    Of a key that an object repeats parsers take the last, so what stood under it before is in
    ``data`` alone. Told by the quotation marks that are missing; it may be wrong in saying yes.
    """
    again = dumps(value)
    if again == data:
        return False
    marks = data.count(b'"')
    if b"\\" in data:
        marks += data.count(b"\\u0022")
    if marks <= again.count(b'"'):
        return False
    return b"\\u" in data or any(telltale in data for telltale in _TELLTALES)


def redact_body(value: object) -> RedactedBody:
    """Replace the secrets in parsed JSON; `value` itself is not changed.

    A secret that was found in one place is masked in all other strings and keys too.
    """
    redaction = _Redaction(value)
    redaction.find_secrets()
    secrets = tuple(dict.fromkeys(redaction.secrets))
    if secrets:
        redaction.find_echoes(secrets)
    return RedactedBody(value=redaction.applied(), pointers=redaction.pointers(), secrets=secrets)


class _Redaction:
    """One walk over a body, breadth first, and what it found.

    Iterative, since what a lenient parser took may be deeper than Python's recursion limit.
    """

    def __init__(self, value: object) -> None:
        # The value's own holder, so that a body that is one string is no special case.
        self._places: list[_Place] = [([value], _Holds.CONTENT, -1, None)]
        self._changes: dict[int, dict[Any, str]] = {}
        self._renames: dict[int, dict[str, str]] = {}
        self.secrets: list[bytes] = []

    def find_secrets(self) -> None:
        """Look at every scalar once. The loop is flat because it runs for every call's body."""
        places = self._places
        content = _Holds.CONTENT
        for place, (container, holds, _, _) in enumerate(places):
            if holds is not content:
                self._look_among_secrets(place, container, holds)
                continue
            children: Any = enumerate(container)
            if type(container) is dict:
                children = container.items()
                if "://" in "".join(container):
                    self._look_at_keys(place, container)
                if not _SPECIAL_FIELDS.isdisjoint(container):
                    children = self._ordinary_fields(place, container)
            for key, child in children:
                kind = type(child)
                if kind is str:
                    # Looking for one character takes a tenth of the time of looking for two.
                    if "://" in child or ("\\" in child and ":\\" in child):
                        self._look_for_urls(place, key, child)
                elif kind is dict or kind is list:
                    places.append((child, content, place, key))

    def _look_at_keys(self, place: int, fields: dict[str, object]) -> None:
        for key in fields:
            renamed, secrets = redact_urls(key)
            if secrets:
                self._renames.setdefault(place, {})[key] = renamed
                self.secrets += secrets

    def _look_for_urls(self, place: int, key: Any, text: str) -> None:
        redacted, secrets = redact_urls(text)
        if secrets:
            self._changes.setdefault(place, {})[key] = redacted
            self.secrets += secrets

    def _ordinary_fields(self, place: int, fields: dict[str, object]) -> list[tuple[str, object]]:
        """See to the fields that may hold secrets by their names, and return the others."""
        ordinary = []
        is_mcp_tool = fields.get("type") == "mcp" or "server_label" in fields
        for key, child in fields.items():
            has_parts = isinstance(child, dict | list)
            if key == "domain_secrets" and has_parts:
                self._places.append((child, _Holds.DOMAIN_SECRETS, place, key))
            elif key == "headers" and has_parts:
                holds = _Holds.SECRETS if is_mcp_tool else _Holds.HEADERS
                self._places.append((child, holds, place, key))
            elif key in _SECRET_FIELDS and has_parts and is_mcp_tool:
                self._places.append((child, _Holds.SECRETS, place, key))
            elif not has_parts and (
                key in _SECRET_FIELDS or (is_mcp_tool and (key == "headers" or is_secret_name(key)))
            ):
                self._hide(place, key, child)
            else:
                # Also a JSON schema's property that is called `authorization`.
                ordinary.append((key, child))
        return ordinary

    def _look_among_secrets(self, place: int, container: Any, holds: _Holds) -> None:
        named = type(container) is dict
        if named:
            self._look_at_keys(place, container)
        children: Any = container.items() if named else enumerate(container)
        for key, child in children:
            is_secret = (
                holds is _Holds.SECRETS
                or (holds is _Holds.HEADERS and named and is_secret_name(key))
                or (holds is _Holds.DOMAIN_SECRETS and key not in _DOMAIN_SECRET_LABELS)
            )
            if isinstance(child, dict | list):
                inner = _Holds.SECRETS if is_secret and holds is _Holds.HEADERS else holds
                self._places.append((child, inner, place, key))
            elif is_secret:
                self._hide(place, key, child)
            elif isinstance(child, str):
                self._look_for_urls(place, key, child)

    def _hide(self, place: int, key: Any, child: object) -> None:
        if child is None or isinstance(child, bool) or child in ("", REDACTED):
            return
        self._changes.setdefault(place, {})[key] = REDACTED
        text = str(child)
        if str(key).lower() not in _ORDINARY_HEADERS:
            self.secrets += [as_bytes(form) for form in credential_forms(text)]
        self.secrets += redact_urls(text)[1]

    def find_echoes(self, secrets: Sequence[bytes]) -> None:
        """Mask the secrets in whatever strings and keys still hold them."""
        texts = "\n".join(text for _, _, _, text in self._texts())
        left = found_in(as_bytes(texts), secrets)
        if not left:
            return
        for found, place, key, text in list(self._texts()):
            data = as_bytes(text)
            here = found_in(data, left)
            if here:
                found.setdefault(place, {})[key] = mask(data, here).decode("utf-8", "replace")

    def _texts(self) -> Iterator[tuple[dict[int, dict[Any, str]], int, Any, str]]:
        """Each string and key as it stands by now, with where a change of it is noted."""
        for place, (container, _, _, _) in enumerate(self._places):
            changes = self._changes.get(place, {})
            renames = self._renames.get(place, {})
            named = type(container) is dict
            children: Any = container.items() if named else enumerate(container)
            for key, child in children:
                text = changes.get(key, child)
                if isinstance(text, str) and text != REDACTED:
                    yield self._changes, place, key, text
                if named:
                    yield self._renames, place, key, renames.get(key, key)

    def applied(self) -> object:
        """The value with what was found replaced; only the containers on the way are copied."""
        copies: dict[int, Any] = {}
        for place in self._touched():
            self._copy_down_to(place, copies)
            for key, text in self._changes.get(place, {}).items():
                copies[place][key] = text
        # Last, since the copies above were put under the keys that were there.
        for place, renames in self._renames.items():
            fields = copies[place]
            renamed = [(renames.get(key, key), child) for key, child in fields.items()]
            fields.clear()
            fields.update(renamed)
        return copies[0][0] if copies else self._places[0][0][0]

    def _copy_down_to(self, place: int, copies: dict[int, Any]) -> None:
        way = []
        while place >= 0 and place not in copies:
            way.append(place)
            place = self._places[place][2]
        for step in reversed(way):
            container, _, parent, key = self._places[step]
            copies[step] = container.copy()
            if parent >= 0:
                copies[parent][key] = copies[step]

    def pointers(self) -> tuple[str, ...]:
        """RFC 6901 pointers of what was replaced, outer first. For a key: that of its object."""
        found = (
            self._pointer(place, key)
            for place in self._touched()
            for key in (*self._changes.get(place, {}), *self._renames.get(place, {}))
        )
        return tuple(dict.fromkeys(found))

    def _pointer(self, place: int, key: Any) -> str:
        keys: list[Any] = []
        while place > 0:
            if key in self._renames.get(place, {}):
                # A pointer must not tell the secret that a key held: it ends at the parent.
                keys.clear()
            else:
                keys.append(key)
            _, _, place, key = self._places[place]
        tokens = (str(key).replace("~", "~0").replace("/", "~1") for key in reversed(keys))
        return "".join(f"/{token}" for token in tokens)

    def _touched(self) -> list[int]:
        return sorted({*self._changes, *self._renames})
