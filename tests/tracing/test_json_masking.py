"""Secrets masked in JSON, which stays JSON and keeps the words by which it is read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.json_masking import mask_event, mask_json, mask_text
from tracing.masking import NEEDLES_MAX, mask

SECRET = b"sk-0123456789"


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ({"a": "x sk-0123456789 y"}, {"a": "x ************* y"}),
        ({"sk-0123456789": [1, True, None, 1.5]}, {"*************": [1, True, None, 1.5]}),
        ([["sk-0123456789"]], [["*************"]]),
        ({"a": "sk-01234"}, {"a": "sk-01234"}),
    ],
)
def test_masks(value: object, masked: object) -> None:
    """Secrets are masked in values and names, as many characters as they had."""
    assert json.loads(mask_json(json.dumps(value).encode(), (SECRET,))) == masked


@pytest.mark.parametrize("text", ['{"a": 1 , "b":"x"}', '{"a":1,"a":2}', '"\\u00e9"'])
def test_json_without_a_secret_is_the_same_bytes(text: str) -> None:
    """Nothing is written anew that needs no change."""
    assert mask_json(text.encode(), (SECRET,)) == text.encode()


def test_a_number_that_is_a_secret_becomes_text() -> None:
    """A secret of digits alone is masked and leaves JSON."""
    assert json.loads(mask_json(b'{"a": 1234567890, "b": true}', (b"1234567890",))) == {
        "a": "*" * 10,
        "b": True,
    }


def test_names_of_the_format_stay() -> None:
    """A secret that is a word of the format does not make a payload unreadable."""
    payload = {"output_items": [], "response_id": "output_items"}
    masked = mask_json(json.dumps(payload).encode(), (b"output_items", b"response_id"))
    assert json.loads(masked) == {"output_items": [], "response_id": "*" * 12}


def test_more_secrets_than_can_be_searched_for() -> None:
    """Everything is masked then, and the payload still has its fields."""
    secrets = tuple(b"secret-%d" % number for number in range(NEEDLES_MAX + 1))
    masked = mask_json(b'{"input": [{"type": "message"}], "model": "m"}', secrets)
    assert json.loads(masked) == {"input": [{"type": "*" * 7}], "*****": "*"}


def test_event_keeps_what_is_ours() -> None:
    """In an event only what came from the wire is masked: never type, ids, status, references."""
    reference = {
        "raw_payload_id": "raw_payload:1",
        "kind": {"type": "inference_request"},
        "path": "payloads/1.json",
    }
    event: dict[str, Any] = {
        "type": "inference_started",
        "thread_id": "thread:inference_started",
        "codex_turn_id": "turn:inference_started",
        "status": "completed",
        "inference_call_id": "payloads",
        "request_payload": reference,
        "model": "completed",
        "proxy": {"path": "/payloads/v1", "response_payload": reference, "sizes": (1, 2)},
    }
    secrets = (b"inference_started", b"payloads", b"raw_payload", b"completed")
    assert mask_event(event, secrets) == event | {
        "model": "*********",
        "proxy": {"path": "/********/v1", "response_payload": reference, "sizes": [1, 2]},
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)


@given(JSON, st.lists(st.text(min_size=3, max_size=12), max_size=3), st.data())
def test_no_secret_stays_in_any_text(value: object, texts: list[str], data: st.DataObject) -> None:
    """The result is JSON, and none of its texts holds a secret any more."""
    secrets = tuple(text.encode(errors="replace") for text in texts)
    holder = {"value": value, "text": data.draw(st.sampled_from([*texts, ""])) * 2}
    raw = json.dumps(holder).encode()
    masked = json.loads(mask_json(raw, secrets))
    if mask(raw, secrets) == raw:
        assert masked == json.loads(raw)
        return

    def check(found: object) -> None:
        match found:
            case dict():
                for name, child in found.items():
                    check(name)
                    check(child)
            case list():
                for child in found:
                    check(child)
            case str():
                assert mask_text(found, secrets) == found

    check(masked)
