"""Replace secrets in bytes by as many other bytes, in one piece or in a stream.

Every byte of every occurrence is covered, also where occurrences overlap, so the result does not
depend on how a stream was cut. Which values are secret is decided elsewhere.
"""

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

SECRET_BYTES_MIN = 8
"""Shorter values are not searched for in content: masking "1" everywhere would destroy a trace."""

NEEDLE_BYTES_MAX = 1024
"""A longer secret is searched for in pieces of this length, so that a stream holds back less than
this. Most keys fit; a long signed token takes a few pieces."""

NEEDLES_MAX = 1024
"""Each needle costs a scan of the stream. Beyond this many, all of the content is masked: a trace
without content is better than a trace with a secret or a proxy that stands still."""

_REMEMBERED_BYTES_MAX = 4096
_MASK = b"*"

# What every JSON encoder writes as it is: most keys are such. Those that URLs need not escape
# either need one needle only.
_NEVER_ESCAPED = re.compile(rb"[A-Za-z0-9 !#$%()*+,.:;=?@\[\]^_`{|}~-]*")

_ESCAPE = re.compile(rb"%[0-9A-F]{2}")

# Encoders that take JSON for HTML escape these: Go's do it by default.
_HTML_ESCAPES = str.maketrans({"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"})


def mask(data: bytes, secrets: Sequence[bytes]) -> bytes:
    """Return `data` with each secret, raw, JSON-escaped or URL-escaped, replaced by as many `*`.

    Secrets of fewer than SECRET_BYTES_MIN bytes are left alone.
    """
    search = _search_for(tuple(secrets))
    if not search.hides_all and not _holds_one(data, search.telltales):
        return data
    stream = StreamMask(secrets)
    return stream.feed(data) + stream.finish()


def found_in(data: bytes, secrets: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return those of the secrets that `mask` would find in `data`."""
    return tuple(
        secret for secret in secrets if any(needle in data for needle in _needles_of(secret))
    )


class StreamMask:
    """`mask` for a stream: whatever the pieces, the joined output is that of the whole.

    A piece's last bytes are held back only while they may begin a secret, NEEDLE_BYTES_MAX - 1 at
    most. `ranges` are (start, end) offsets in the output, in order, none touching the next;
    the last one may still grow until `finish`.
    """

    def __init__(self, secrets: Sequence[bytes] = ()) -> None:
        self.ranges: list[tuple[int, int]] = []
        self._secrets: tuple[bytes, ...] = ()
        self._held = b""
        self._held_masked = (
            0  # how many of the held bytes lie in a secret that was found before them
        )
        self._emitted = 0
        self.add(secrets)

    def add(self, secrets: Sequence[bytes]) -> None:
        """Search for these as well; to be called before the first `feed`."""
        self._secrets += tuple(secrets)
        search = _search_for(self._secrets)
        self._needles, self._telltales, self._everything, self._may_be_held = search

    def passes(self, data: bytes) -> bool:
        """Take the next piece if it comes out as it is, and at once; else leave it to ``feed``."""
        if self._everything or self._held or self._tail_bytes(data):
            return False
        if _holds_one(data, self._telltales):
            return False
        self._emitted += len(data)
        return True

    def feed(self, data: bytes) -> bytes:
        """Take the next piece and return what is sure by now, masked."""
        if self._everything:
            return self._emit(data, [(0, len(data))])
        if not self._needles:
            return data
        buffer = self._held + data if self._held else data
        kept = self._tail_bytes(buffer)
        spans = [span for needle in self._needles for span in _spans_of(needle, buffer)]
        if self._held_masked:
            spans.append((0, self._held_masked))
        emit_end = len(buffer) - kept
        self._held = buffer[emit_end:]
        self._held_masked = max((end - emit_end for _, end in spans if end > emit_end), default=0)
        return self._emit(buffer[:emit_end], spans)

    def finish(self) -> bytes:
        """Return what was held back: at the end of the stream it begins no secret any more."""
        spans = [(0, self._held_masked)] if self._held_masked else []
        held, self._held, self._held_masked = self._held, b"", 0
        return self._emit(held, spans)

    def _tail_bytes(self, buffer: bytes) -> int:
        """How many bytes at the end may begin a secret."""
        # An event ends with a line feed, which no usual secret holds: most pieces stop here.
        if not buffer or buffer[-1] not in self._may_be_held:
            return 0
        start_min = len(buffer)
        for needle in self._needles:
            first = needle[:1]
            at = buffer.find(first, max(0, len(buffer) - len(needle) + 1), start_min)
            while at >= 0:
                if needle.startswith(buffer[at:]):
                    start_min = at
                    break
                at = buffer.find(first, at + 1, start_min)
        return len(buffer) - start_min

    def _emit(self, data: bytes, spans: list[tuple[int, int]]) -> bytes:
        base = self._emitted
        self._emitted += len(data)
        if not spans:
            return data
        masked = bytearray(data)
        for start, found_end in sorted(spans):
            end = min(found_end, len(data))
            if start < end:
                masked[start:end] = _MASK * (end - start)
                self._note(base + start, base + end)
        return bytes(masked)

    def _note(self, start: int, end: int) -> None:
        if self.ranges and start <= self.ranges[-1][1]:
            last_start, last_end = self.ranges[-1]
            self.ranges[-1] = (last_start, max(last_end, end))
        else:
            self.ranges.append((start, end))


def _spans_of(needle: bytes, buffer: bytes) -> Iterable[tuple[int, int]]:
    size = len(needle)
    at = buffer.find(needle)
    while at >= 0:
        yield at, at + size
        # The last occurrence that overlaps or touches this one covers all that lie between, which
        # keeps "aaaa..." in a megabyte of "a" from taking a step a byte.
        later = buffer.rfind(needle, at + 1, at + 2 * size)
        at = later if later >= 0 else buffer.find(needle, at + size + 1)


def _holds_one(data: bytes, needles: tuple[bytes, ...]) -> bool:
    # A generator would take twice the time.
    for needle in needles:  # noqa: SIM110 - as said above
        if needle in data:
            return True
    return False


class _Search(NamedTuple):
    """What is searched for, and which bytes at the end of a piece may begin it.

    Where no ``telltales`` are there are no needles: they are those that hold no other one.
    """

    needles: tuple[bytes, ...]
    telltales: tuple[bytes, ...]
    hides_all: bool
    may_be_held: frozenset[int]


def _search_for(secrets: tuple[bytes, ...]) -> _Search:
    # A client sends the same key with every call; large secrets are not worth the memory.
    if sum(map(len, secrets)) <= _REMEMBERED_BYTES_MAX:
        return _remembered_search(secrets)
    return _new_search(secrets)


@lru_cache(maxsize=256)
def _remembered_search(secrets: tuple[bytes, ...]) -> _Search:
    return _new_search(secrets)


def _new_search(secrets: tuple[bytes, ...]) -> _Search:
    needles = sorted({needle for secret in secrets for needle in _needles_of(secret)})
    if len(needles) > NEEDLES_MAX:
        return _Search((), (), hides_all=True, may_be_held=frozenset())
    starts = b"".join(needle[:-1] for needle in needles)
    telltales = tuple(n for n in needles if not any(o in n for o in needles if o != n))
    return _Search(tuple(needles), telltales, hides_all=False, may_be_held=frozenset(starts))


def _needles_of(secret: bytes) -> Iterable[bytes]:
    if len(secret) < SECRET_BYTES_MIN:
        return
    for form in _forms_of(secret):
        last = max(len(form) - NEEDLE_BYTES_MAX, 0)
        for start in range(0, last, NEEDLE_BYTES_MAX):
            yield form[start : start + NEEDLE_BYTES_MAX]
        yield form[last:]


def _forms_of(secret: bytes) -> set[bytes]:
    """The secret as it is, as JSON encoders write it inside a string, and as it is in a URL."""
    in_url = _forms_in_url(secret)
    if _NEVER_ESCAPED.fullmatch(secret):
        return {secret, *in_url}
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        text = secret.decode("latin-1")
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    ascii_only = json.dumps(text)[1:-1]
    written = {plain, ascii_only, plain.translate(_HTML_ESCAPES)}
    written |= {form.replace("/", "\\/") for form in (plain, ascii_only)}
    return {secret, *in_url, *(form.encode() for form in written)}


def _forms_in_url(secret: bytes) -> set[bytes]:
    """The secret as encoders of URLs write it: with or without slashes, in upper or lower case."""
    forms = {quote(secret, safe="").encode(), quote(secret).encode()}
    return forms | {_ESCAPE.sub(lambda escape: escape[0].lower(), form) for form in forms}
