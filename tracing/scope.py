"""Tells from a request's method and path what is traced of it."""

import re
from enum import Enum

_FAMILY = re.compile(
    r"/responses/(?:compact|input_tokens)$"
    r"|/responses/[^/]+(?:/cancel|/input_items)?$"
    r"|/conversations(?:/[^/]+(?:/items(?:/[^/]+)?)?)?$"
)


class Scope(Enum):
    """How much of an exchange is traced."""

    CALL = "call"
    """An inference call, with its bodies."""
    COMPACTION = "compaction"
    """A request to compact a conversation, with its bodies."""
    EXCHANGE = "exchange"
    """Another endpoint of the family: a note without bodies."""
    NOTHING = "nothing"
    """Relayed, counted and logged."""


def socket_scope_of(path: str) -> Scope:
    """Tell the scope of a WebSocket: calls run on the one where requests are posted."""
    return Scope.CALL if path.rstrip("/").endswith("/responses") else Scope.NOTHING


def scope_of(method: str, path: str) -> Scope:
    """Tell the scope. Only the end of the path counts: base paths differ (/v1, /openai/v1, ...)."""
    path = path.rstrip("/")
    if method == "POST" and path.endswith("/responses"):
        return Scope.CALL
    if method == "POST" and path.endswith("/responses/compact"):
        return Scope.COMPACTION
    return Scope.EXCHANGE if _FAMILY.search(path) else Scope.NOTHING
