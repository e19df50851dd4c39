"""`kill -9` at 200 random moments under load: what a crash leaves, and what sealing makes of it.

The rounds are run once; each test then looks at what is left of all of them.
"""

import asyncio
import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reducer import reduce_bundle
from tests.support import raw_bundle
from tests.support.crash_load import Killed, Load, SeenCall, ServeForks, Started, running_load
from tests.support.parity import assert_parity
from tests.support.waiting import wait_until
from tracing.recovery import ABORTED_TEXT, Sealed, recover
from tracing.verify import verify

ROUNDS = 200
ROUND_S_MAX = 0.15
FLUSH_S = 0.02
HANDED_ON_S = 0.01
"""A piece is handed on, then noted, in one step of the loop: our clocks look from outside."""

SEALED = "sealed a bundle whose writer died"

pytestmark = pytest.mark.timeout(150)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """A call as a sealed bundle has it."""

    status: str
    terminal: raw_bundle.Event
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One life of a proxy: what was seen of it from outside, and the bundle it left, now sealed."""

    calls: Mapping[int, SeenCall]
    killed: Killed
    sealed: list[Sealed]
    bundle: Path | None

    @property
    def deadline_ns(self) -> int:
        """What had come by then is to be on the disk.

        An interval before the end; or, where this machine gave the recorder no time to keep it,
        when its last whole pass began.
        """
        promised_ns = self.killed.killed_ns - round(FLUSH_S * 1e9)
        return min(promised_ns, self.killed.flushed_ns) - round(HANDED_ON_S * 1e9)

    def recorded(self) -> dict[int, RecordedCall]:
        """The calls in the bundle, by their numbers."""
        if self.bundle is None:
            return {}
        state: dict[str, Any] = reduce_bundle(self.bundle)
        ends = {
            event["inference_call_id"]: event
            for event in raw_bundle.events(self.bundle)
            if event["type"] in raw_bundle.TERMINALS
        }
        found: dict[int, RecordedCall] = {}
        for call_id, call in state["inference_calls"].items():
            request = raw_bundle.payload(
                self.bundle, state["raw_payloads"][call["raw_request_payload_id"]]
            )
            number = int(request["input"][0]["content"][0]["text"].split()[1].rstrip("."))
            assert number not in found, f"call {number} is there twice"
            found[number] = self._call(call, ends[call_id])
        return found

    def _call(self, call: dict[str, Any], end: raw_bundle.Event) -> RecordedCall:
        assert self.bundle is not None
        reference = end.get("response_payload") or end["partial_response_payload"]
        response = raw_bundle.payload(self.bundle, reference)
        done = response["output_items"]
        begun = [partial["item"] for partial in response["proxy"].get("partial_items", [])]
        parts = [part for item in [*done, *begun] for part in item["content"]]
        return RecordedCall(
            status=call["execution"]["status"],
            terminal=end,
            text="".join(part["text"] for part in parts),
        )


async def run_round(load: Load, forks: ServeForks, trace_dir: Path, chance: random.Random) -> Round:
    """Start a proxy, call through it, kill it, and seal what it left."""
    load.calls = {}
    proxy = await forks.start(trace_dir, trace_dir.with_suffix(".log"))
    killed = await load_until_killed(load, forks, proxy, chance)
    sealed = recover(trace_dir)
    return Round(calls=load.calls, killed=killed, sealed=sealed, bundle=bundle_in(trace_dir))


def bundle_in(trace_dir: Path) -> Path | None:
    """The bundle that a process left, unless it died before it had made one."""
    bundles = [path.parent for path in trace_dir.glob("trace-*/manifest.json")]
    assert len(bundles) <= 1
    return next(iter(bundles), None)


async def load_until_killed(
    load: Load, forks: ServeForks, proxy: Started, chance: random.Random
) -> Killed:
    """Call through a proxy until it is killed, at a moment of chance."""
    stop = asyncio.Event()
    calling = asyncio.create_task(load.run(proxy.base_url, stop))
    await asyncio.sleep(chance.uniform(0, ROUND_S_MAX))
    killed = await forks.kill(proxy.pid)
    stop.set()
    await calling
    return killed


def new_chance() -> random.Random:
    """Chance with a seed that a failed test shows; TAILRACE_TEST_SEED gives it again."""
    seed = int(os.environ.get("TAILRACE_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"TAILRACE_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> list[Round]:
    """Every round, one after the other."""
    directory = tmp_path_factory.mktemp("crashes")

    async def run() -> list[Round]:
        chance = new_chance()
        async with running_load() as load, ServeForks(load.url, FLUSH_S) as forks:
            return [
                await run_round(load, forks, directory / f"{number}", chance)
                for number in range(ROUNDS)
            ]

    return asyncio.run(run())


def test_every_call_that_reached_upstream_is_there(rounds: list[Round]) -> None:
    """One that reached it more than `flush_interval` before the end is in the bundle."""
    due = 0
    for each in rounds:
        recorded = each.recorded()
        for call in each.calls.values():
            if call.received_ns is not None and call.received_ns < each.deadline_ns:
                due += 1
                assert call.number in recorded
    assert due > ROUNDS / 4, "too few calls were due for this to show anything"


def test_every_call_that_had_ended_is_complete(rounds: list[Round]) -> None:
    """With its terminal and all of its text, if its client had all of it by then."""
    due = 0
    for each in rounds:
        recorded = each.recorded()
        for call in each.calls.values():
            if call.ended_ns is not None and call.ended_ns < each.deadline_ns:
                due += 1
                assert recorded[call.number].terminal["type"] == "inference_completed"
        for number, kept in recorded.items():
            if kept.terminal["type"] == "inference_completed":
                assert kept.status == "completed"
                assert kept.text == "".join(each.calls[number].words())
    assert due > ROUNDS / 20, "too few calls had ended for this to show anything"


def test_open_calls_are_aborted_with_what_had_come(rounds: list[Round]) -> None:
    """Nothing that was not sent, and at least what the client had by then."""
    aborted, with_text = 0, 0
    for each in rounds:
        opened = {n: c for n, c in each.recorded().items() if c.status != "completed"}
        for number, call in opened.items():
            assert (call.status, call.terminal["error"]) == ("aborted", ABORTED_TEXT)
            assert "".join(each.calls[number].words()).startswith(call.text)
            assert call.text.startswith(each.calls[number].text_seen_by(each.deadline_ns))
            with_text += call.text != ""
        assert sum(sealed.calls_aborted for sealed in each.sealed) == len(opened)
        aborted += len(opened)
    assert min(aborted, with_text) > ROUNDS / 10, "too few calls were open to show anything"


def test_sealed_bundles_are_whole(rounds: list[Round]) -> None:
    """No gap and nothing twice in the sequence, no damage; sealing again finds nothing to do."""
    for each in rounds:
        if each.bundle is None:
            continue
        raw_bundle.events(each.bundle)
        verdict = verify(each.bundle)
        assert verdict.is_whole, verdict.findings
        assert recover(each.bundle.parent) == []
    assert sum(each.bundle is not None for each in rounds) > ROUNDS / 4


def test_codex_reads_what_was_sealed(rounds: list[Round]) -> None:
    """Codex's own reducer takes the bundles, and says the same of them as ours: of a sample."""
    bundles = [each.bundle for each in rounds if each.bundle is not None]
    for bundle in bundles[:: len(bundles) // 8]:
        state = assert_parity(bundle)
        assert state["status"] == "aborted"


def test_two_processes_share_a_directory(tmp_path: Path) -> None:
    """One is killed, a third seals what it left and logs that; the second goes on untouched."""
    chance = new_chance()

    async def run(trace_dir: Path) -> None:
        async with running_load() as load, ServeForks(load.url, FLUSH_S) as forks:
            living = await forks.start(trace_dir, tmp_path / "living.log")
            stop = asyncio.Event()
            calling = asyncio.create_task(load.run(living.base_url, stop))
            (kept,) = await asyncio.to_thread(first_bundles_of, trace_dir, living.pid)
            for number in range(5):
                doomed = await forks.start(trace_dir, tmp_path / f"{number}.log")
                await load_until_killed(load, forks, doomed, chance)
                before = (kept / "trace.jsonl").read_bytes()
                log = tmp_path / f"{number}-next.log"
                third = await forks.start(trace_dir, log)
                left = bundles_of(trace_dir, doomed.pid)
                await asyncio.to_thread(wait_until_sealed, left, log)
                assert (kept / "trace.jsonl").read_bytes().startswith(before)
                assert await forks.stop(third.pid) == 0
                check_sealed(left, log)
            stop.set()
            await calling
            assert await forks.stop(living.pid) == 0
            assert bundles_of(trace_dir, living.pid) == [kept]
            assert verify(kept).is_whole
            assert raw_bundle.event_types(kept)[-1] == "recording_completed"
            statuses = [
                e["status"] for e in raw_bundle.events(kept) if e["type"] == "rollout_ended"
            ]
            assert statuses == ["completed"]

    asyncio.run(run(tmp_path / "traces"))


def bundles_of(trace_dir: Path, pid: int) -> list[Path]:
    """The bundles that a process wrote."""
    return [
        path.parent
        for path in trace_dir.glob("trace-*/manifest.json")
        if json.loads(path.read_bytes())["producer"]["pid"] == pid
    ]


def first_bundles_of(trace_dir: Path, pid: int) -> list[Path]:
    """The same, as soon as there are any."""
    wait_until(lambda: bool(bundles_of(trace_dir, pid)), "a bundle")
    return bundles_of(trace_dir, pid)


def wait_until_sealed(bundles: list[Path], log: Path) -> None:
    """Wait until the log tells of so many: the proxy seals beside its traffic."""
    wait_until(lambda: log.read_text().count(SEALED) >= len(bundles), "sealed")


def check_sealed(bundles: list[Path], log: Path) -> None:
    """Hold that these bundles, at most one, were sealed, and that the log tells just that."""
    told = [json.loads(line) for line in log.read_text().splitlines()]
    sealed = [line for line in told if line["event"] == SEALED]
    assert [line["bundle"] for line in sealed] == [str(bundle) for bundle in bundles]
    for bundle, line in zip(bundles, sealed, strict=True):
        assert verify(bundle).is_whole
        ends = [event for event in raw_bundle.events(bundle) if event.get("error") == ABORTED_TEXT]
        assert line["calls_aborted"] == len(ends)
