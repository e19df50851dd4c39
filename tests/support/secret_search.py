"""Searches files, logs and pages for a secret in every form in which it could stand there."""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

Places = Mapping[str, bytes]
"""What is searched, by the name that a failed test calls it."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_DEPTH_MAX = 3


def files_in(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, and, as a place of its own, all their names."""
    files = {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    names = [str(path.relative_to(directory)) for path in directory.rglob("*")]
    return files | {f"names in {directory}": "\n".join(names).encode()}


def assert_nowhere(secrets: Iterable[str], places: Places) -> None:
    """None of the secrets stands anywhere, in any form."""
    assert all(places), "every place has a name"
    held = {where: list(_layers(data)) for where, data in places.items()}
    wanted = {secret: forms(secret) for secret in secrets}
    found = [
        f"{form!r} in {where}"
        for secret_forms in wanted.values()
        for where, layers in held.items()
        for form in secret_forms
        if any(form in layer for layer in layers)
    ]
    assert not found, "\n".join(found)


def forms(secret: str) -> set[bytes]:
    """How a secret is written: as it is, in URLs, in JSON, in base64 at any place of it, in hex."""
    data = secret.encode("utf-8", "surrogateescape")
    texts = {
        quote(data),
        quote(data, safe=""),
        quote_plus(data),
        "".join(f"%{byte:02x}" for byte in data),
        "".join(f"%{byte:02X}" for byte in data),
        data.hex(),
        data.hex().upper(),
    }
    written = {data, secret.encode("utf-16-le", "replace"), *(text.encode() for text in texts)}
    if secret.isprintable():
        ascii_only, plain = json.dumps(secret), json.dumps(secret, ensure_ascii=False)
        for text in (ascii_only[1:-1], plain[1:-1]):
            # Once more escaped: as JSON within a string of JSON.
            again = json.dumps(text)[1:-1]
            written |= {form.encode() for form in (text, again, text.replace("/", "\\/"))}
            written.add(text.replace("/", "\\u002f").encode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # The first and the last group hold bits of what stands beside the secret.
        written |= {encode(beside + data)[4:-4] for beside in (b"", b"x", b"xx")}
    return written


def _layers(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """The data, and what of it is base64 or compressed, decoded, also within one another."""
    yield data
    if depth == _DEPTH_MAX:
        return
    if (inflated := _inflated(data)) is not None:
        yield from _layers(inflated, depth + 1)
    for match in _BASE64.finditer(data):
        text = match[0].rstrip(b"=").translate(_STANDARD)
        text += b"A" * (-len(text) % 4)
        yield from _layers(base64.b64decode(text), depth + 1)


def _inflated(data: bytes) -> bytes | None:
    """What of compressed data can be read, also where it is cut short."""
    if data[:2] not in {b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda"}:
        return None
    try:
        return zlib.decompressobj(wbits=47).decompress(data)
    except zlib.error:
        return None
