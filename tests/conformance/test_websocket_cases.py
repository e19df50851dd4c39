"""Autobahn's cases through the relay: each byte arrives, and the trace is right after it."""

import socket
import threading
from pathlib import Path

import pytest

from tests.support.events import ev_completed, ev_created
from tests.support.frames import message, sent
from tests.support.raw_http import RawConnection
from tests.support.reduced import calls, only, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.scripted_websocket import Joined, WebSocketUpstream, joined
from tests.support.terminals import assert_one_terminal_each

from .websocket_cases import GROUPS, Case


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("group", GROUPS)
def test_websocket_cases(trace_dir: Path, group: str, way: str) -> None:
    """Both ways, on a socket where a response is open: it completes where it can be read."""
    cases = list(GROUPS[group]())
    with WebSocketUpstream() as upstream, RunningProxy(upstream.url, trace_dir) as proxy:
        for case in cases:
            extensions = case.extensions
            with joined(proxy.port, upstream, offer=extensions, answer=extensions) as ends:
                relay(ends, case, way)
        state = state_after(proxy)
        assert_one_terminal_each(only(proxy.bundles()))
    statuses = {
        call["response_id"] or call["proxy"]["response_id"]: call["execution"]["status"]
        for call in calls(state)
    }
    can_be_read = {case.id: case.is_sound or case.closes or way == "up" for case in cases}
    assert {case for case, status in statuses.items() if status == "completed"} == {
        case for case, readable in can_be_read.items() if readable
    }
    assert statuses.keys() == can_be_read.keys()


def relay(ends: Joined, case: Case, way: str) -> None:
    """Play the case within a response, or behind it where it says goodbye."""
    say(ends.client, ends.upstream, [sent({"type": "response.create", "input": case.id})])
    down = ends.upstream, ends.client
    say(*down, [message(ev_created(case.id))])
    end = [message(ev_completed(case.id))]
    if case.closes:
        say(*down, end)
    sender, receiver = (ends.client, ends.upstream) if way == "up" else down
    say(sender, receiver, case.pieces(sender.mask))
    if not case.closes:
        say(*down, end)


def say(sender: RawConnection, receiver: RawConnection, pieces: list[bytes]) -> None:
    """Send each piece by itself; what arrives next at the other end is all of them."""
    sender.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    talking = threading.Thread(target=send_each, args=(sender, pieces))
    talking.start()
    data = b"".join(pieces)
    assert receiver.take_exactly(len(data)) == data
    talking.join()


def send_each(sender: RawConnection, pieces: list[bytes]) -> None:
    """Send them in turn, while the other end reads: more than sockets hold may be under way."""
    for piece in pieces:
        sender.send(piece)
