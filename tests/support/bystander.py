"""A stream on a connection of its own, to show that what befalls another exchange leaves it be."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from .differential import call
from .events import sse_pieces, text_stream
from .raw_http import BodyReader, RawConnection
from .reduced import Call, State, calls, said
from .script import Gate, stream_reply
from .scripted_upstream import ScriptedUpstream

WORDS = ("I ", "saw ", "nothing ", "of ", "it.")
NAME = "bystander"
_PIECES = sse_pieces(*text_stream(*WORDS, response_id="resp_bystander", item_id="msg_bystander"))


class Bystander:
    """An open stream. Each of its pieces waits at a gate until the test lets it come."""

    def __init__(self, connection: RawConnection, gates: list[Gate]) -> None:
        self._connection = connection
        self._gates = gates
        self._next = 0
        self._body = BodyReader(connection, connection.read_head())

    def go_on(self) -> None:
        """Let the next piece come, and see that it comes alone and whole."""
        piece = _PIECES[self._next]
        self._gates[self._next].open()
        self._next += 1
        assert self._body.read_until(piece) == piece

    def finish(self) -> None:
        """Let the rest come, piece by piece, to its end."""
        while self._next < len(_PIECES):
            self.go_on()
        self._gates[-1].open()
        assert (self._body.read_all(), self._body.end) == (b"", "complete")


@contextmanager
def bystander(upstream: ScriptedUpstream, port: int) -> Iterator[Bystander]:
    """A stream that is open while the block runs, and goes on to its end after it."""
    gates = [Gate() for _ in range(len(_PIECES) + 1)]
    body = [part for pair in zip(gates, _PIECES, strict=False) for part in pair]
    upstream.enqueue(stream_reply(*body, gates[-1], request_id="req_bystander"))
    with RawConnection(port) as connection:
        connection.send(call(body=orjson.dumps({"model": "m", "input": NAME, "stream": True})))
        other = Bystander(connection, gates)
        other.go_on()
        yield other
        other.finish()


def without_bystander(state: State) -> list[Call]:
    """The calls but the bystander's, which was completed with all that it said."""
    others = [call for call in calls(state) if call["response_id"] != "resp_bystander"]
    (seen,) = (call for call in calls(state) if call["response_id"] == "resp_bystander")
    assert seen["execution"]["status"] == "completed"
    assert seen["upstream_request_id"] == "req_bystander"
    assert said(state, seen) == [("assistant", "".join(WORDS))]
    return others
