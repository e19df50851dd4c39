"""Http11Probe's cases, sent to the real proxy: what it answers, and what of it goes upstream."""

from collections.abc import Iterator

import pytest

from tests.support.running_proxy import RunningProxy
from tests.support.script import ReadBody, Reply, Step
from tests.support.scripted_upstream import ScriptedUpstream

from .http_cases import Case, answers_of, cases

CASES = cases()
EMPTY = Reply(status=204, framing="none").steps()
"""An answer that no method changes the framing of."""


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedUpstream, int]]:
    """One upstream and one proxy for all cases: what one of them did must not touch the next."""
    traces = tmp_path_factory.mktemp("cases") / "traces"
    with ScriptedUpstream() as upstream, RunningProxy(f"{upstream.url}/v1", traces) as proxy:
        yield upstream, proxy.port


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_http_case(relay: tuple[ScriptedUpstream, int], case: Case) -> None:
    """It is answered so, the connection's next request in its turn; upstream sees what it may."""
    upstream, port = relay
    seen = len(upstream.requests)
    script: list[Step] = [ReadBody()] if case.answers == "open" else EMPTY
    for _ in range(case.relayed):
        upstream.enqueue(script)
    assert answers_of(port, case) == case.answers
    if case.relayed:
        first = upstream.request(seen)
        assert first.line.endswith(b" HTTP/1.1")
        if case.answers != "open":
            assert first.body == case.body
    assert len(upstream.requests) == seen + case.relayed


def test_no_case_fails_without_a_reason() -> None:
    """What the suite would call a failure is a decision, told in the list and in the docs."""
    failing = {case.id for case in CASES if case.verdict == "fail"}
    assert failing == {case.id for case in CASES if case.because}


def test_what_must_be_refused_is_refused() -> None:
    """No case whose 400 is a MUST of the suite passes by anything else."""
    lenient = [
        case.id
        for case in CASES
        if case.level == "MUST" and case.wants in {"400", "400 close"} and not case.allows
        if not case.answers.startswith(("4", "close"))
    ]
    assert lenient == []
