"""Seals what a crash left, in a thread that neither the start nor the end of the proxy waits for.

A disk that hangs may hold it up for good. What is cut off by the end is finished by the next start.
"""

import threading

import structlog

from tracing.recovery import sealed_one_by_one

from .settings import Settings

_log = structlog.get_logger()


def start_sealing(settings: Settings) -> None:
    """Seal dead bundles beside the traffic."""
    # No executor's thread: asyncio and the interpreter would wait for its end.
    threading.Thread(target=_seal, args=(settings,), name="tailrace-sealing", daemon=True).start()


def seal_dead_bundles(settings: Settings) -> None:
    """Seal what a crash left, and say so; bundles that somebody writes are left alone."""
    if settings.capture == "off":
        return
    try:
        for sealed in sealed_one_by_one(settings.trace_dir):
            _log.warning(
                "sealed a bundle whose writer died",
                bundle=str(sealed.bundle),
                calls_aborted=sealed.calls_aborted,
                torn_bytes=sealed.torn_bytes,
            )
    except OSError as error:
        _log.error(
            "cannot look for what a crash left; the next start does, or `tailrace recover`",
            trace_dir=str(settings.trace_dir),
            error=error.strerror,
        )


def _seal(settings: Settings) -> None:
    try:
        seal_dead_bundles(settings)
    except Exception:  # noqa: BLE001 - told; it costs no traffic
        _log.exception("sealing failed")
