"""A soak: mixed traffic with faults against `tailrace serve`, and what came of it."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.disk_trouble import REFUSED, RESUMED, lost
from tests.support.serve_process import ServeProcess
from tests.support.waiting import wait_until
from tracing.chains import RESPONSES_REMEMBERED_MAX

from .calls import SoakCall
from .ledger import Ledger
from .load import Load
from .soak_upstream import SoakUpstream
from .watch import Sample, Trend, no_file_grows, sample, trend

MIB = 1024 * 1024
CLIENTS = 8
SAMPLE_SECONDS = 0.5
OUTAGE_EVERY_SECONDS = 6.0
OUTAGE_SECONDS = 1.0
SETTINGS: dict[str, Any] = {
    "bundle_bytes_max": 8 * MIB,  # a new bundle every second or so
    "pending_bytes_max": 64 * MIB,  # more than comes in an outage, so that nothing is lost
    "flush_interval": 0.05,
    "log_level": "warning",
}

RSS_GROWTH_MAX = 32 * MIB
"""After the warm-up. In each outage some ten MiB wait for the disk, in small pieces that the
allocator gives back late or never: what it holds goes up in steps of 5 MiB for the first minute,
by 8 to 26 MiB in all, and stays there. A leak does not stop: of 10 KiB a call it shows within one
test, of 0.2 KiB a call in half an hour."""

REMEMBERED_BYTES = 400
"""Beside that: what each response takes that is remembered to place a call that chains from it."""

DESCRIPTORS_LEFT_MAX = 8
"""More than at the start when all is quiet again: an open bundle holds three."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a soak came to; `faults` is empty if all is well."""

    seconds: float
    sent: int
    bundles: int
    outages: int
    trend: Trend
    peak: Sample
    at_start: Sample
    at_end: Sample
    kinds: Counter[str]
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The summary, for people."""
        early, late = self.trend.early, self.trend.late
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        return "\n".join(
            [
                f"{self.sent} calls in {self.seconds:.0f} s: {kinds}",
                f"{self.bundles} bundles, {self.outages} times without a disk",
                f"memory       early {_mib(early.rss_bytes)}, late {_mib(late.rss_bytes)}",
                f"descriptors  early {early.descriptors}, late {late.descriptors}",
                f"when quiet   {self.at_start.descriptors} before, {self.at_end.descriptors} after",
                *(f"FAULT: {fault}" for fault in self.faults[:20]),
                f"{len(self.faults)} faults" if self.faults else "every call is accounted for",
            ]
        )


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"


def soak(seconds: float, directory: Path) -> Report:
    """Run one for so long, with its files in `directory`."""
    return asyncio.run(_soak(seconds, directory))


async def _soak(seconds: float, directory: Path) -> Report:
    upstream = SoakUpstream()
    async with upstream.serving():
        url = f"http://127.0.0.1:{upstream.port}/v1"
        process = ServeProcess(url, directory / "traces", directory, **SETTINGS)
        await asyncio.to_thread(process.__enter__)
        try:
            return await _against(process, upstream, seconds)
        finally:
            await asyncio.to_thread(process.__exit__, None, None, None)


async def _against(process: ServeProcess, upstream: SoakUpstream, seconds: float) -> Report:
    at_start = sample(process.pid)
    load, ledger = Load(process.base_url, CLIENTS, upstream.begun), Ledger(process.trace_dir)
    samples: list[Sample] = []
    running = asyncio.create_task(load.run())
    started = time.monotonic()
    faults_of_disk = asyncio.create_task(_take_disk_away(process.pid, started + seconds))
    while not running.done() and time.monotonic() < started + seconds:
        await asyncio.wait([running], timeout=SAMPLE_SECONDS)
        samples.append(sample(process.pid))
        await asyncio.to_thread(ledger.settle_closed)
    load.stop()
    await running
    took = time.monotonic() - started
    outages = await faults_of_disk
    at_end = await asyncio.to_thread(_quiet, process, at_start)
    gone = await asyncio.to_thread(lost, process)
    exit_code = await asyncio.to_thread(process.terminate)
    await asyncio.to_thread(ledger.settle_closed)
    report = Report(
        seconds=took,
        sent=load.sent.total(),
        bundles=ledger.bundles,
        outages=outages,
        trend=trend(samples),
        peak=max(samples, key=lambda held: held.rss_bytes),
        at_start=at_start,
        at_end=at_end,
        kinds=Counter(call.kind.value for call in load.sent),
        faults=[*load.faults, *ledger.faults],
    )
    report.faults += _not_accounted_for(load.sent, upstream.received, ledger.recorded)
    report.faults += _not_flat(report)
    report.faults += [f"lost: {gone}"] if gone else []
    report.faults += [f"exit code {exit_code}"] if exit_code else []
    report.faults += _told_otherwise(process.log_path.read_text(), outages)
    return report


async def _take_disk_away(pid: int, until: float) -> int:
    """Take it away every few seconds for a while; how often that was."""
    outages = 0
    while time.monotonic() + OUTAGE_EVERY_SECONDS + OUTAGE_SECONDS < until:
        await asyncio.sleep(OUTAGE_EVERY_SECONDS)
        with no_file_grows(pid):
            await asyncio.sleep(OUTAGE_SECONDS)
        outages += 1
    return outages


def _quiet(process: ServeProcess, at_start: Sample) -> Sample:
    """What is held when no exchange is open any more, and no idle connection."""
    allowed = at_start.descriptors + DESCRIPTORS_LEFT_MAX
    with suppress(AssertionError):  # it is told with the rest
        wait_until(lambda: sample(process.pid).descriptors <= allowed, "as few as at the start")
    return sample(process.pid)


def _not_accounted_for(
    sent: Counter[SoakCall], received: Counter[SoakCall], recorded: Counter[SoakCall]
) -> list[str]:
    return [
        *(f"upstream got {call} {received[call]} times" for call in sent if received[call] != 1),
        *(f"{recorded[call]} bundles hold {call}" for call in sent if recorded[call] != 1),
        *(f"nobody sent {call}" for call in (received | recorded) if call not in sent),
    ]


def _not_flat(report: Report) -> list[str]:
    early, late = report.trend.early, report.trend.late
    remembered = REMEMBERED_BYTES * min(report.sent, RESPONSES_REMEMBERED_MAX)
    faults = []
    if late.rss_bytes - early.rss_bytes > RSS_GROWTH_MAX + remembered:
        faults.append(f"memory grew by {_mib(late.rss_bytes - early.rss_bytes)}")
    if late.descriptors - early.descriptors > DESCRIPTORS_LEFT_MAX:
        faults.append(f"descriptors grew by {late.descriptors - early.descriptors}")
    if report.at_end.descriptors - report.at_start.descriptors > DESCRIPTORS_LEFT_MAX:
        faults.append(f"{report.at_end.descriptors - report.at_start.descriptors} were not closed")
    return faults


def _told_otherwise(log: str, outages: int) -> list[str]:
    # Of a refusal itself there may be no line: the log is a file that could not grow either.
    refused, resumed = log.count(REFUSED), log.count(RESUMED)
    if refused > outages or resumed > outages or (outages and not resumed):
        return [f"the log tells of {refused} refusals and {resumed} returns of the disk"]
    return []
