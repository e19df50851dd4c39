"""The web platform tests' cases of event streams (eventsource/format-*), as data.

Each is a stream and the messages that it holds: the type that its `event:` lines name, and its
data. `id` and `retry` are for a client that connects again, and none of ours does: their cases are
here for what else stands in them. The cases `format-mime-*` are about the Content-Type.
"""

Message = tuple[bytes, bytes]


def _untyped(*data: bytes) -> list[Message]:
    return [(b"", text) for text in data]


BOM = b"\xef\xbb\xbf"

FORMATS: dict[str, tuple[bytes, list[Message]]] = {
    "format-bom": (BOM + b"data:1\n\n" + BOM + b"data:2\n\ndata:3\n\n", _untyped(b"1", b"3")),
    "format-bom-2": (BOM + BOM + b"data:1\n\ndata:2\n\ndata:3\n\n", _untyped(b"2", b"3")),
    "format-comments": (
        b"data:1\r:\0\n:\r\ndata:2\n:" + b"x" * 4096 + b"\rdata:3\n:data:fail\r:x\ndata:4\n\n",
        _untyped(b"1\n2\n3\n4"),
    ),
    "format-data-before-final-empty-line": (
        b"retry:1000\ndata:test1\n\nid:test\ndata:test2",
        _untyped(b"test1"),
    ),
    "format-field-data": (b"data:\n\ndata\ndata\n\ndata:test\n\n", _untyped(b"", b"\n", b"test")),
    "format-field-event": (b"event:test\ndata:x\n\ndata:x\n\n", [(b"test", b"x"), (b"", b"x")]),
    "format-field-event-empty": (b"event: \ndata:data\n\n", _untyped(b"data")),
    "format-field-id": (b"id: \xe2\x80\xa6\ndata: hello\n\n", _untyped(b"hello")),
    "format-field-id-2": (
        b"id: \xe2\x80\xa6\ndata: hello\n\ndata: \xe2\x80\xa6\n\ndata: \xe2\x80\xa6\n\n",
        _untyped(b"hello", b"\xe2\x80\xa6", b"\xe2\x80\xa6"),
    ),
    "format-field-id-3": (
        b"id: 1\ndata: 1\n\nid\ndata: 2\n\ndata:3\n\n",
        _untyped(b"1", b"2", b"3"),
    ),
    "format-field-id-null": (b"id: a\0b\ndata: hello\n\n", _untyped(b"hello")),
    "format-field-parsing": (
        (
            b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\n"
            b"data:3\rdata:\r\n data:32\ndata:4\n\n"
        ),
        _untyped(b"\0\n 2\n1\n3\n\n4"),
    ),
    "format-field-retry": (b"retry:03000\ndata:x\n\n", _untyped(b"x")),
    "format-field-retry-bogus": (b"retry:3000\nretry:1000x\ndata:x\n\n", _untyped(b"x")),
    "format-field-retry-empty": (b"retry\ndata:test\n\n", _untyped(b"test")),
    "format-field-unknown": (
        b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        _untyped(b"test\n\ntest"),
    ),
    "format-leading-space": (b"data:\ttest\rdata: \ndata:test\n\n", _untyped(b"\ttest\n\ntest")),
    "format-newlines": (b"data:test\r\ndata\ndata:test\r\n\r", _untyped(b"test\n\ntest")),
    "format-null-character": (b"data:\0\n\n\n\n", _untyped(b"\0")),
    "format-utf-8": (b"data:ok\xe2\x80\xa6\n\n", _untyped(b"ok\xe2\x80\xa6")),
}

MEDIA_TYPES = {
    "format-mime-bogus": (b"x bogus", False),
    "format-mime-valid-bogus": (b"text/x-bogus", False),
    "format-mime-trailing-semicolon": (b"text/event-stream;", True),
    "format-mime-utf-8": (b"text/event-stream;charset=utf-8", True),
    "format-mime-windows-1252": (b"text/event-stream;charset=windows-1252", True),
}
"""A Content-Type, and whether what comes under it is a stream of events."""
