"""What is remembered across calls, and for how long."""

import pytest

from tracing import chains as chains_module
from tracing.answer import Answer
from tracing.call import SocketCall
from tracing.chains import Chains


def lane(stream_id: str | None, *, has_request: bool) -> SocketCall:
    """A call in a lane."""
    return SocketCall(
        stream_id=stream_id,
        has_request=has_request,
        handshake_status=101,
        handshake_headers=(),
    )


def test_threads_of_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are known, the one that was named again as well, and nothing for no id."""
    monkeypatch.setattr(chains_module, "RESPONSES_REMEMBERED_MAX", 2)
    chains = Chains()
    for response_id in ("r1", "r2", "r1", "r3"):
        chains.remember(response_id, f"thread of {response_id}")
    chains.remember(None, "thread of none")
    known = [chains.thread_of(response_id) for response_id in ("r1", "r2", "r3", None)]
    assert known == ["thread of r1", None, "thread of r3", None]


def test_prewarms_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be a whole conversation, so that only the latest are kept."""
    monkeypatch.setattr(chains_module, "PREWARMS_REMEMBERED_MAX", 2)
    chains = Chains()
    for response_id in ("w1", "w2", "w3"):
        chains.remember_prewarm(Answer(response_id=response_id), {"input": [response_id]}, ())
    kept = [chains.prewarm_of(response_id) for response_id in ("w1", "w2", "w3")]
    assert [prewarm and prewarm.input for prewarm in kept] == [None, ["w2"], ["w3"]]


def test_prewarm_without_id_or_body() -> None:
    """One that has no response, or whose body is not kept, is nothing to chain from."""
    chains = Chains()
    chains.remember_prewarm(Answer(), {"input": []}, ())
    chains.remember_prewarm(Answer(response_id="w"), {}, ())
    assert chains.prewarm_of("w") is None


def test_models_of_lanes() -> None:
    """A call without a request has its lane's last model, while the connection lasts."""
    chains = Chains()
    for connection, stream_id, model in (("c1", "a", "m1"), ("c1", "a", "m2"), ("c2", "a", "m3")):
        assert chains.lane_model(connection, lane(stream_id, has_request=True), model) == model
    inherited = lane("a", has_request=False)
    assert chains.lane_model("c1", inherited, "unknown") == "m2"
    assert chains.lane_model("c1", lane(None, has_request=False), "unknown") == "unknown"
    chains.let_go_of("c1")
    assert chains.lane_model("c1", inherited, "unknown") == "unknown"
    assert chains.lane_model("c2", inherited, "unknown") == "m3"
