"""Tells when something of the proxy's is called, for what no socket shows."""

import threading
from collections.abc import Callable
from typing import Any

import pytest


def watch(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> threading.Event:
    """An event that is set when this method is called, which works as before."""
    called = threading.Event()
    method: Callable[..., Any] = getattr(owner, name)

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        called.set()
        return method(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, watched)
    return called
