"""Watches a process from outside: its memory, its descriptors; and takes its disk away at times."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a process holds at one moment."""

    rss_bytes: int
    descriptors: int


def sample(pid: int) -> Sample:
    """What the process holds now."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (rss,) = (line.split()[1] for line in status if line.startswith("VmRSS:"))
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(rss_bytes=int(rss) * KIB, descriptors=descriptors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The middle of what was held early, after the warm-up, and late."""

    early: Sample
    late: Sample


def trend(samples: list[Sample]) -> Trend:
    """The second quarter of the samples against the last: the first is the warm-up."""
    quarter = max(1, len(samples) // 4)
    return Trend(early=_middle(samples[quarter : 2 * quarter]), late=_middle(samples[-quarter:]))


def _middle(samples: list[Sample]) -> Sample:
    return Sample(
        rss_bytes=round(median(sample.rss_bytes for sample in samples)),
        descriptors=round(median(sample.descriptors for sample in samples)),
    )


@contextmanager
def no_file_grows(pid: int) -> Iterator[None]:
    """Every write to a file is refused by the kernel until the block is left (EFBIG)."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it may have ended meanwhile
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
