"""The ids that we mint."""

import uuid

import pytest

from tracing.ids import new_id


def test_is_a_uuid_of_version_7() -> None:
    """Version and variant are those of RFC 9562, and no two are the same."""
    ids = [new_id() for _ in range(100)]
    assert {(made.version, made.variant) for made in ids} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == len(ids)


def test_sorts_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first 48 bits are the milliseconds since 1970."""
    monkeypatch.setattr("tracing.ids.time.time_ns", lambda: 0x0123_4567_89AB * 1_000_000)
    assert new_id().int >> 80 == 0x0123_4567_89AB
