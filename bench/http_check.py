"""Says whether a response arrived as upstream sent it, whatever a relay did to its framing."""

from . import script as scripts
from .script import NAME, STAMP, STAMP_PATTERN, Script

_BLANK_STAMP = b'"sent_ns":"' + STAMP + b'"'


def fault_in(response: bytes, script: Script, name: bytes) -> str | None:
    """Return what is wrong with a whole response, head and all; None if nothing is."""
    head, _, framed = response.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return f"answered {head[:40]!r}"
    if not script.pace and _blank(framed, script, name) == _framed(script):
        return None  # framed as upstream framed it: no need to look at each chunk
    try:
        body = dechunked(framed) if b"chunked" in head.lower() else framed
    except ValueError as error:
        return f"its chunks are broken: {error}"
    expected = scripts.stream_body(script) if script.stream else scripts.json_body(script)
    if _blank(body, script, name) != expected:
        return f"its body of {len(body)} bytes is not the one that was sent"
    return None


def dechunked(framed: bytes) -> bytes:
    """Return a chunked body without its framing. Raises ValueError where that is broken."""
    parts: list[bytes] = []
    at = 0
    while size := int(framed[at : (line_end := framed.index(b"\r\n", at))], 16):
        start = line_end + 2
        at = start + size + 2
        if framed[at - 2 : at] != b"\r\n":
            raise ValueError(f"the chunk at {start} does not end where it should")
        parts.append(framed[start : start + size])
    return b"".join(parts)


def _blank(body: bytes, script: Script, name: bytes) -> bytes:
    """Put the template's marks back in place of the id and the times."""
    if script.pace:
        blank = STAMP_PATTERN.sub(_BLANK_STAMP, body)
    else:  # all at once: one time throughout
        found = STAMP_PATTERN.search(body)
        blank = body if found is None else body.replace(found[1], STAMP)
    return blank.replace(name, NAME)


def _framed(script: Script) -> bytes:
    return scripts.framed_body(script) if script.stream else scripts.json_body(script)
