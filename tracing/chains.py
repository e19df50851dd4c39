"""Remembers, across calls, what a later call builds on: threads, prewarms, the model of a lane."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from .answer import Answer
from .call import SocketCall
from .json_masking import mask_json
from .request import Prewarm, as_items
from .strict_json import dumps

RESPONSES_REMEMBERED_MAX = 65_536
"""How many responses' threads are remembered, to place calls that chain from them: some 10 MB."""

PREWARMS_REMEMBERED_MAX = 64
"""How many prewarms' inputs are remembered: each may be a whole conversation, and serves once."""


class Chains:
    """What is remembered of calls that have ended, within bounds, and of open WebSockets."""

    def __init__(self) -> None:
        self._thread_of_response: OrderedDict[str, str] = OrderedDict()
        self._prewarms: OrderedDict[str, Prewarm] = OrderedDict()
        self._lane_models: dict[tuple[str, str | None], str] = {}

    def thread_of(self, response_id: str | None) -> str | None:
        """Return the thread in which a response came, if that is known."""
        return self._thread_of_response.get(response_id) if response_id else None

    def remember(self, response_id: str | None, thread_id: str) -> None:
        """Note the thread in which a response came."""
        if response_id is None:
            return
        self._thread_of_response[response_id] = thread_id
        self._thread_of_response.move_to_end(response_id)
        if len(self._thread_of_response) > RESPONSES_REMEMBERED_MAX:
            self._thread_of_response.popitem(last=False)

    def prewarm_of(self, response_id: str) -> Prewarm | None:
        """Return the prewarm whose response this is, if it is one's."""
        return self._prewarms.get(response_id)

    def remember_prewarm(
        self, answer: Answer, body: Mapping[str, Any], secrets: tuple[bytes, ...]
    ) -> None:
        """Note what a prewarm sent and got, masked, since the payloads of others will repeat it."""
        if answer.response_id is None or not body:
            return
        parent = body.get("previous_response_id")
        said = {"input": as_items(body.get("input")), "output": answer.output_items}
        self._prewarms[answer.response_id] = Prewarm(
            **orjson.loads(mask_json(dumps(said), secrets)),
            previous_response_id=parent if isinstance(parent, str) else None,
        )
        if len(self._prewarms) > PREWARMS_REMEMBERED_MAX:
            self._prewarms.popitem(last=False)

    def lane_model(self, connection_id: str, socket: SocketCall, model: str) -> str:
        """Return the model of a call: of one without a request, that of the call before it."""
        lane = (connection_id, socket.stream_id)
        if not socket.has_request:
            return self._lane_models.get(lane, model)
        self._lane_models[lane] = model
        return model

    def let_go_of(self, connection_id: str) -> None:
        """Forget the lanes of a WebSocket that has ended."""
        for lane in [lane for lane in self._lane_models if lane[0] == connection_id]:
            del self._lane_models[lane]
