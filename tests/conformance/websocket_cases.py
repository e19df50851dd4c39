"""The cases of the Autobahn test suite, as data: the frames that one end sends.

The list is that of crossbario/autobahn-testsuite (Apache-2.0, commit b8a5120), groups 1 to 7, 9, 12
and 13; the suite itself runs on Python 2 alone. It asks what an endpoint answers; a relay has
nothing to answer, so here each case is what must arrive. 9 is shortened to what shows a limit, 12
and 13 to ten messages a size.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Deflater, frame
from tests.support.script import RawHeaders

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One frame of a case."""

    opcode: int
    payload: bytes = b""
    final: bool = True
    reserved: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The frames, sent one by one, byte by byte with `chopped`.

    `is_sound` tells whether their framing is that of RFC 6455, so that what follows can be read.
    """

    id: str
    parts: tuple[Part, ...]
    chopped: bool = False
    is_sound: bool = True
    extensions: RawHeaders = ()

    @property
    def closes(self) -> bool:
        """Whether the end says goodbye in it."""
        return any(part.opcode == CLOSE for part in self.parts)

    def pieces(self, mask: bytes | None) -> list[bytes]:
        """What is sent, piece by piece."""
        frames = [
            frame(
                part.payload,
                opcode=part.opcode,
                final=part.final,
                reserved=part.reserved,
                mask=mask,
            )
            for part in self.parts
        ]
        return [bytes([byte]) for byte in b"".join(frames)] if self.chopped else frames


def text(payload: bytes = b"Hello, world!", *, final: bool = True, reserved: int = 0) -> Part:
    """A text frame."""
    return Part(opcode=TEXT, payload=payload, final=final, reserved=reserved)


def more(payload: bytes = b"", *, final: bool = True) -> Part:
    """A continuation."""
    return Part(opcode=CONTINUATION, payload=payload, final=final)


def ping(payload: bytes = b"") -> Part:
    """A ping."""
    return Part(opcode=PING, payload=payload)


def close(code: int | None = None, reason: bytes = b"") -> Part:
    """A close frame, with a code or without."""
    return Part(opcode=CLOSE, payload=(b"" if code is None else code.to_bytes(2)) + reason)


def split(payload: bytes, size: int, opcode: int = TEXT) -> tuple[Part, ...]:
    """A message in fragments of this size."""
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
    return tuple(
        Part(
            opcode=CONTINUATION if place else opcode,
            payload=piece,
            final=place == len(pieces) - 1,
        )
        for place, piece in enumerate(pieces)
    )


def framing() -> Iterator[Case]:
    """1: text and binary messages of every length of a length."""
    for group, opcode, byte in (("1.1", TEXT, b"*"), ("1.2", BINARY, b"\xfe")):
        for number, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), start=1):
            yield Case(id=f"{group}.{number}", parts=(Part(opcode=opcode, payload=byte * size),))
        large = Part(opcode=opcode, payload=byte * 65536)
        yield Case(id=f"{group}.8", parts=(large,), chopped=True)


def pings() -> Iterator[Case]:
    """2: pings and pongs, asked for and not, of any content up to 125 bytes."""
    unasked = Part(opcode=PONG, payload=b"unsolicited pong payload")
    ten = tuple(ping(b"payload-%d" % number) for number in range(10))
    yield Case(id="2.1", parts=(ping(),))
    yield Case(id="2.2", parts=(ping(b"Hello, world!"),))
    yield Case(id="2.3", parts=(ping(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),))
    yield Case(id="2.4", parts=(ping(b"\xfe" * 125),))
    yield Case(id="2.5", parts=(ping(b"\xfe" * 126),), is_sound=False)
    yield Case(id="2.6", parts=(ping(b"\xfe" * 125),), chopped=True)
    yield Case(id="2.7", parts=(Part(opcode=PONG), close(1000)))
    yield Case(id="2.8", parts=(unasked, close(1000)))
    yield Case(id="2.9", parts=(unasked, ping(b"ping payload")))
    yield Case(id="2.10", parts=ten)
    yield Case(id="2.11", parts=ten, chopped=True)


def reserved_bits() -> Iterator[Case]:
    """3: bits that no extension has given a meaning."""
    for number in range(1, 5):
        first = () if number == 1 else (text(),)
        parts = (*first, text(reserved=number), ping())
        yield Case(id=f"3.{number}", parts=parts, chopped=number == 4, is_sound=False)
    odd = Part(opcode=BINARY, payload=b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", reserved=5)
    yield Case(id="3.5", parts=(odd,), is_sound=False)
    yield Case(id="3.6", parts=(Part(opcode=PING, payload=b"?", reserved=6),), is_sound=False)
    yield Case(id="3.7", parts=(Part(opcode=CLOSE, reserved=7),), is_sound=False)


def opcodes() -> Iterator[Case]:
    """4: opcodes that nobody has given a meaning."""
    for group, first in (("4.1", 3), ("4.2", 11)):
        for number in range(1, 6):
            payload = b"" if number in {1, 3} else b"reserved opcode payload"
            unknown = Part(opcode=first + number - 1, payload=payload)
            parts = (unknown,) if number < 3 else (text(), unknown, ping())
            yield Case(id=f"{group}.{number}", parts=parts, chopped=number == 5, is_sound=False)


def fragmentation() -> Iterator[Case]:
    """5: messages in fragments, right and wrong, with control frames between them."""
    begun, end = text(b"fragment1", final=False), more(b"fragment2")
    whole = (begun, end)
    for number, opcode in ((1, PING), (2, PONG)):
        parts = (Part(opcode=opcode, payload=b"fragment1", final=False), end)
        yield Case(id=f"5.{number}", parts=parts, is_sound=False)
    yield Case(id="5.3", parts=whole)
    yield Case(id="5.5", parts=whole, chopped=True)
    yield Case(id="5.6", parts=(begun, ping(b"ping payload"), end))
    yield Case(id="5.8", parts=(begun, ping(b"ping payload"), end), chopped=True)
    for number, final, chopped in ((9, True, False), (11, True, True), (12, False, False)):
        parts = (more(b"non-continuation payload", final=final), text())
        yield Case(id=f"5.{number}", parts=parts, chopped=chopped, is_sound=False)
    extra = (*whole, more(b"fragment3", final=False), text(b"fragment4"))
    yield Case(id="5.15", parts=extra, is_sound=False)
    for number, final in ((16, False), (17, True)):
        once = (more(b"fragment1", final=final), text(b"fragment2", final=False), more())
        yield Case(id=f"5.{number}", parts=once * 2, is_sound=False)
    yield Case(id="5.18", parts=(begun, text(b"fragment2")), is_sound=False)
    halves = [more(b"fragment%d" % number, final=False) for number in range(2, 5)]
    pinged = (begun, halves[0], ping(b"1"), *halves[1:], ping(b"2"), more(b"fragment5"))
    yield Case(id="5.19", parts=pinged)


VALID = "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!".encode()
BROKEN = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited"
SEQUENCES: dict[int, list[bytes]] = {
    5: [b"hello$world", b"hello\xc2\xa2world", b"hello\xe2\x82\xacworld", BROKEN[:11]],
    6: [BROKEN[:size] for size in range(1, 12)],
    7: [b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"],
    8: [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"],
    9: [b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"],
    10: [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"],
    11: [b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x90\x80\x80"],
    12: [b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80", bytes(range(0x80, 0xBF))],
    13: [b" ".join(bytes([byte]) for byte in range(first, 0xFE)) for first in (0xC0, 0xF0)],
    14: [b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf"],
    15: [b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf"],
    16: [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    17: [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf"],
    18: [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf"],
    19: [b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80"],
    20: [b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xb0\x80", b"\xed\xbf\xbf"],
    21: [b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xad\xbf\xed\xbf\xbf", b"\xed\xaf\xbf\xed\xbf\xbf"],
    22: [b"\xef\xbf\xbe", b"\xf0\x9f\xbf\xbe", b"\xf1\x8f\xbf\xbf", b"\xf4\x8f\xbf\xbe"],
    23: [b"\xef\xbf\xb9", b"\xef\xbf\xba", b"\xef\xbf\xbb", b"\xef\xbf\xbc"],
}
"""Right and wrong UTF-8, after Markus Kuhn's test file."""


def utf_8() -> Iterator[Case]:
    """6: text that is UTF-8 and text that is not: no relay's business."""
    empty = more(final=False)
    yield Case(id="6.1.1", parts=(text(b""),))
    yield Case(id="6.1.2", parts=(text(b"", final=False), empty, more()))
    middle = more(b"middle frame payload", final=False)
    yield Case(id="6.1.3", parts=(text(b"", final=False), middle, more()))
    yield Case(id="6.2.1", parts=(text(VALID),))
    yield Case(id="6.2.2", parts=split(VALID, 14))
    yield Case(id="6.2.3", parts=split(VALID, 1))
    yield Case(id="6.3.1", parts=(text(BROKEN),))
    yield Case(id="6.3.2", parts=split(BROKEN, 1))
    yield Case(id="6.4.1", parts=split(BROKEN, 11))
    yield Case(id="6.4.3", parts=(text(BROKEN),), chopped=True)
    for group, sequences in SEQUENCES.items():
        for number, sequence in enumerate(sequences, start=1):
            yield Case(id=f"6.{group}.{number}", parts=(text(sequence),))


VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
INVALID_CODES = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)


def closing() -> Iterator[Case]:
    """7: goodbyes with every code, reason and length, and what comes after one."""
    bye = close(1000)
    yield Case(id="7.1.1", parts=(text(), bye))
    yield Case(id="7.1.2", parts=(bye, close()))
    yield Case(id="7.1.3", parts=(bye, ping()))
    yield Case(id="7.1.4", parts=(bye, text()))
    yield Case(id="7.1.5", parts=(text(b"fragment1", final=False), bye, more(b"fragment2")))
    yield Case(id="7.1.6", parts=(text(b"BAsd7&jh23" * 26215), text(), bye, ping()))
    yield Case(id="7.3.1", parts=(close(),))
    yield Case(id="7.3.2", parts=(close(reason=b"a"),))
    yield Case(id="7.3.3", parts=(bye,))
    yield Case(id="7.3.4", parts=(close(1000, b"Hello World!"),))
    yield Case(id="7.3.5", parts=(close(1000, b"*" * 123),))
    yield Case(id="7.3.6", parts=(close(1000, b"*" * 124),), is_sound=False)
    yield Case(id="7.5.1", parts=(close(1000, BROKEN),))
    for group, codes in (("7.7", VALID_CODES), ("7.9", INVALID_CODES), ("7.13", (5000, 65535))):
        for number, code in enumerate(codes, start=1):
            yield Case(id=f"{group}.{number}", parts=(close(code),))


def limits() -> Iterator[Case]:
    """9: large messages, whole, in fragments and in bytes, and many small ones."""
    for group, opcode, byte in (("9.1", TEXT, b"*"), ("9.2", BINARY, b"\xfe")):
        for number, size in ((1, 64 * KIB), (3, MIB), (5, 8 * MIB)):
            yield Case(id=f"{group}.{number}", parts=(Part(opcode=opcode, payload=byte * size),))
    for number, size in ((1, 64), (4, 4 * KIB), (7, 256 * KIB), (9, 4 * MIB)):
        yield Case(id=f"9.3.{number}", parts=split(b"*" * (MIB if size == 64 else 4 * MIB), size))
    yield Case(id="9.4.7", parts=split(b"\xfe" * (4 * MIB), 256 * KIB, BINARY))
    for number, size in enumerate((0, 16, 64, 256, 1024, 4096), start=1):
        yield Case(id=f"9.7.{number}", parts=(text(b"*" * size),) * 1000)


OFFERS: dict[str, tuple[bytes, bool, int]] = {
    "12.1": (b"permessage-deflate", True, 15),
    "13.2": (b"permessage-deflate; server_no_context_takeover", False, 15),
    "13.3": (b"permessage-deflate; server_max_window_bits=9", True, 9),
    "13.4": (b"permessage-deflate; server_max_window_bits=15", True, 15),
    "13.5": (
        b"permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
        False,
        9,
    ),
    "13.6": (
        b"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        False,
        15,
    ),
}
SIZES = (16, 64, 256, KIB, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB)
WORDS = b"".join(b'{"number":%d,"square":"%d"},' % (n, n * n) for n in range(6000))


def compression() -> Iterator[Case]:
    """12 and 13: permessage-deflate, with and without a context and with small windows."""
    for group, (extension, takes_over, window_bits) in OFFERS.items():
        extensions = ((b"Sec-WebSocket-Extensions", extension),)
        for number, size in enumerate(SIZES, start=1):
            deflater = Deflater(takes_over=takes_over, window_bits=window_bits)
            parts = tuple(
                Part(
                    opcode=TEXT,
                    payload=deflater.payload(WORDS[at * 97 :][:size]),
                    reserved=4,
                )
                for at in range(10)
            )
            yield Case(id=f"{group}.{number}", parts=parts, extensions=extensions)


GROUPS = {
    "1 framing": framing,
    "2 pings and pongs": pings,
    "3 reserved bits": reserved_bits,
    "4 opcodes": opcodes,
    "5 fragmentation": fragmentation,
    "6 UTF-8": utf_8,
    "7 close": closing,
    "9 limits": limits,
    "12 and 13 compression": compression,
}
