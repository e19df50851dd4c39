"""Which calls try again what an earlier one tried."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from reducer.attempts import COUNTED_RETRY_GAP_MS_MAX, PLAIN_RETRY_GAP_MS_MAX
from tests.reducer.items import assistant, user
from tests.reducer.linked import Caller, continued
from tests.reducer.states import State, call_of
from tests.support.bundles import Json


def sent(sha256: str = "s", *, retry_count: int = 0, client_call_id: str | None = None) -> Json:
    """The start's `proxy` of a call with this body."""
    return {
        "path": "/v1/responses",
        "retry_count": retry_count,
        "client_call_id": client_call_id,
        "request": {"sha256": sha256},
    }


class Tries(Caller):
    """Calls that send the same again."""

    def fail(
        self, call: str, http_status: int | None = 500, *, protocol: str = "none", **how: object
    ) -> None:
        """Make a call that fails."""
        self.start(call, "a", proxy=sent(**how))  # type: ignore[arg-type]  # fields by name
        outcome = {"protocol": protocol}
        proxy = {"http_status": http_status, "outcome": outcome}
        self.bundle.fail(call, error="HTTP", proxy=proxy)

    def succeed(self, call: str, **how: object) -> None:
        """Make a call that completes."""
        self.call(call, "a", "A", proxy=sent(**how))  # type: ignore[arg-type]  # fields by name


@pytest.fixture
def tries(tmp_path: Path) -> Tries:
    """A bundle with its root thread begun."""
    return Tries(tmp_path / "bundle")


def retry_of(state: State, call: str) -> Mapping[str, object] | None:
    """What a call tries again."""
    found: Mapping[str, object] | None = call_of(state, call)["proxy"].get("retry_of")
    return found


def test_sdk_retries_are_attempts_of_one_request(tries: Tries) -> None:
    """The SDK counts its retries, and each has the body of the call before."""
    tries.fail("c1", 429)
    tries.fail("c2", 500, retry_count=1)
    tries.succeed("c3", retry_count=2)
    state = tries.state()
    assert retry_of(state, "c1") is None
    assert retry_of(state, "c2") == {
        "call": "c1",
        "by": "retry_count",
        "first": "c1",
        "attempt": 2,
    }
    assert retry_of(state, "c3") == {
        "call": "c2",
        "by": "retry_count",
        "first": "c1",
        "attempt": 3,
    }


def test_attempts_continue_what_the_first_continues(tries: Tries) -> None:
    """A retry does not continue the call that it repeats, nor what came between the two."""
    tries.call("c0", "z", "Z", thread="t", response_id="r0")
    body: Json = {"model": "m", "input": [user("a")], "previous_response_id": "r0"}
    tries.start("c1", body, thread="t", proxy=sent())
    tries.bundle.fail("c1", proxy={"http_status": 500})
    tries.start("c2", body, thread="t", proxy=sent(retry_count=1))
    tries.bundle.complete("c2", [assistant("A")])
    state = tries.state()
    assert continued(state, "c1") == continued(state, "c2") == ("c0", "previous_response_id")


def test_attempts_continue_one_call_though_another_came_to_the_same(tries: Tries) -> None:
    """What the first attempt continued is what was meant, whoever says the same meanwhile."""
    going_on = [user("a"), assistant("A"), user("b")]
    tries.call("c0", "a", "A")
    tries.start("c1", going_on, proxy=sent())
    tries.bundle.fail("c1", proxy={"http_status": 500})
    tries.call("other", "a", "A")
    tries.call("c2", going_on, proxy=sent(retry_count=1))
    state = tries.state()
    assert continued(state, "c1") == continued(state, "c2") == ("c0", "prefix")


def test_what_follows_continues_the_attempt_that_answered(tries: Tries) -> None:
    """The conversation goes on from the call that completed."""
    tries.fail("c1")
    tries.succeed("c2", retry_count=1)
    tries.call("c3", [user("a"), assistant("A"), user("b")])
    assert continued(tries.state(), "c3") == ("c2", "prefix")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"sha256": "s"}, {"sha256": "other", "retry_count": 1}),
        ({"sha256": "s", "retry_count": 1}, {"sha256": "s", "retry_count": 1}),
        ({"sha256": "s", "retry_count": 2}, {"sha256": "s", "retry_count": 1}),
    ],
)
def test_other_requests_are_no_retries(tries: Tries, first: Json, second: Json) -> None:
    """A retry has the same body, and counts on."""
    tries.fail("c1", **first)  # type: ignore[arg-type]  # fields by name
    tries.succeed("c2", **second)
    assert retry_of(tries.state(), "c2") is None


def test_completed_call_is_not_retried(tries: Tries) -> None:
    """Who sends the same again after an answer wants another answer."""
    tries.succeed("c1", client_call_id="x")
    tries.succeed("c2")
    tries.succeed("c3", retry_count=1)
    tries.succeed("c4", client_call_id="x")
    state = tries.state()
    assert [retry_of(state, call) for call in ("c2", "c3", "c4")] == [None, None, None]


@pytest.mark.parametrize(
    ("retry_count", "gap_ms"), [(1, COUNTED_RETRY_GAP_MS_MAX), (0, PLAIN_RETRY_GAP_MS_MAX)]
)
@pytest.mark.parametrize("is_late", [False, True])
def test_retry_comes_soon(tries: Tries, retry_count: int, gap_ms: int, is_late: bool) -> None:
    """After a time that no client waits, the same body is another request."""
    tries.fail("c1")
    # Of two threads and turns that start between the two, the latter's event counts as well.
    tries.bundle.later_ms += gap_ms - 30 + (1 if is_late else 0)
    tries.succeed("c2", retry_count=retry_count)
    assert (retry_of(tries.state(), "c2") is None) is is_late


@pytest.mark.parametrize(
    ("http_status", "is_retried"),
    [(400, False), (404, False), (408, True), (409, True), (429, True), (502, True), (None, True)],
)
def test_plain_retry_follows_what_is_worth_retrying(
    tries: Tries, http_status: int | None, is_retried: bool
) -> None:
    """Without a count, the failure has to be of a kind that the next attempt may not meet."""
    tries.fail("c1", http_status)
    tries.succeed("c2")
    found = retry_of(tries.state(), "c2")
    assert (found is not None) is is_retried
    if found:
        assert found["by"] == "body"


def test_incomplete_answer_is_not_retried(tries: Tries) -> None:
    """It was an answer, if a short one."""
    tries.fail("c1", 200, protocol="incomplete")
    tries.succeed("c2")
    assert retry_of(tries.state(), "c2") is None


@pytest.mark.parametrize("response_id", [None, "r1"])
def test_plain_retry_of_a_cancelled_call(tries: Tries, response_id: str | None) -> None:
    """Who gave up waiting tries again; who stopped an answer asks anew."""
    tries.start("c1", "a", proxy=sent())
    tries.bundle.cancel("c1", response_id=response_id)
    tries.succeed("c2")
    assert (retry_of(tries.state(), "c2") is None) is (response_id is not None)


def test_counted_retry_of_a_cancelled_call(tries: Tries) -> None:
    """An SDK that timed out leaves, and counts the next attempt as a retry."""
    tries.start("c1", "a", proxy=sent())
    tries.bundle.cancel("c1", response_id="r1")
    tries.succeed("c2", retry_count=1)
    assert retry_of(tries.state(), "c2") is not None


def test_codex_repeats_its_call_id(tries: Tries) -> None:
    """Its transport sends a request again under one id, whatever else is known of the body."""
    tries.fail("c1", sha256="s1", client_call_id="x")
    tries.succeed("c2", sha256="s2", client_call_id="x")
    tries.succeed("c3", sha256="s3", client_call_id="y")
    state = tries.state()
    assert retry_of(state, "c2") == {
        "call": "c1",
        "by": "client_call_id",
        "first": "c1",
        "attempt": 2,
    }
    assert retry_of(state, "c3") is None


def test_each_attempt_is_retried_once(tries: Tries) -> None:
    """Two clients that ask the same, and each retry, make two requests of two attempts."""
    for call in ("a1", "b1"):
        tries.start(call, "a", proxy=sent())
    for call in ("a1", "b1"):
        tries.bundle.fail(call, proxy={"http_status": 500})
    for call in ("a2", "b2"):
        tries.succeed(call, retry_count=1)
    state = tries.state()
    of = [retry_of(state, call) for call in ("a2", "b2")]
    assert sorted(str(each["call"]) for each in of if each) == ["a1", "b1"]
    assert [each["attempt"] for each in of if each] == [2, 2]


@pytest.mark.parametrize(
    "proxy",
    [
        {},
        {"request": None, "retry_count": "1", "client_call_id": 3, "path": None},
        {"request": {"sha256": 7}, "retry_count": None, "outcome": []},
    ],
)
def test_odd_evidence_is_no_retry(tries: Tries, proxy: Json) -> None:
    """Calls of others' bundles, and damaged ones, say nothing of retries."""
    for call in ("c1", "c2"):
        tries.start(call, "a", proxy=proxy)
        tries.bundle.fail(call)
    assert retry_of(tries.state(), "c2") is None
