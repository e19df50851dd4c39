"""`durability = "power"`: what was flushed is on the medium, and no event without what it names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reducer import reduce_bundle
from tests.support import events as wire
from tests.support.faulty_disk import faulty_disk
from tests.support.power_cut import Medium, medium
from tests.support.recording import BODY, SSE_HEAD, Recording, only_bundle, recording

STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A recording that survives a loss of power."""
    with recording(tmp_path / "traces", survives_power_loss=True) as made:
        yield made


def after_power_loss(kept: Medium, directory: Path) -> list[dict[str, Any]]:
    """The calls of the one bundle that is left, as it replays, in which nothing is missing."""
    directory.mkdir()
    kept.restore(directory)
    bundles = list((directory / "traces").glob("trace-*/trace.jsonl"))
    if not bundles or not bundles[0].read_bytes():
        return []
    state: Any = reduce_bundle(bundles[0].parent)
    assert state["diagnostics"] == []
    return sorted(
        state["inference_calls"].values(), key=lambda call: call["execution"]["started_seq"]
    )


def test_flushed_calls_survive_a_loss_of_power(record: Recording, tmp_path: Path) -> None:
    """The whole of one that has ended, and of one that goes on its request and its start."""
    with medium(tmp_path) as kept:
        record.call(*STREAM)
        going_on = record.ask(BODY)
        going_on.response_started(200, SSE_HEAD)
        record.journal.flush()
        calls = after_power_loss(kept, tmp_path / "left")
    assert [call["execution"]["status"] for call in calls] == ["completed", "running"]
    assert calls[0]["response_id"] == "resp_1"


def test_closed_bundle_survives_a_loss_of_power(record: Recording, tmp_path: Path) -> None:
    """To its last event, and to the last byte of its capture."""
    with medium(tmp_path) as kept:
        record.call(*STREAM)
        bundle = only_bundle(record.close())
        after_power_loss(kept, tmp_path / "left")
    left = tmp_path / "left" / "traces" / bundle.name
    files = [path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file()]
    assert len(files) == 5
    assert all((left / name).read_bytes() == (bundle / name).read_bytes() for name in files)


def test_power_may_be_lost_after_any_sync(record: Recording, tmp_path: Path) -> None:
    """What is left can be replayed, with the payload of every event that is there."""
    seen: list[int] = []

    def look(kept: Medium) -> None:
        calls = after_power_loss(kept, tmp_path / f"left-{len(seen)}")
        seen.append(len(calls))

    with medium(tmp_path, look):
        for _ in range(3):
            record.call(*STREAM)
            record.journal.flush()
        record.close()
    assert seen == sorted(seen)
    assert set(seen) == {0, 1, 2, 3}


def test_what_is_deleted_need_not_be_synced(record: Recording) -> None:
    """Somebody may delete a payload before it was waited for."""
    record.call(*STREAM)
    (bundle,) = record.bundles()
    (bundle / "payloads" / "1.json").unlink()
    record.journal.flush()


def test_sync_that_the_disk_refuses_is_tried_again(record: Recording, tmp_path: Path) -> None:
    """As any write that it refuses: what was to be synced stays so."""
    with medium(tmp_path) as kept:
        record.call(*STREAM)
        with faulty_disk() as disk:
            disk.refuse_all("fsync", "fdatasync")
            with pytest.raises(OSError, match="sync"):
                record.journal.flush()
        record.journal.flush()
        assert len(after_power_loss(kept, tmp_path / "left")) == 1


def test_without_it_nothing_waits_for_the_medium(tmp_path: Path) -> None:
    """A sync takes milliseconds, which only who asked for it should pay."""
    with medium(tmp_path) as kept, recording(tmp_path / "traces") as record:
        record.call(*STREAM)
        record.close()
        assert kept.syncs == 0
