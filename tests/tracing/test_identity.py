"""What a request says of its thread and turn."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.identity import Identity, identify

NOBODY = Identity(
    thread_id=None,
    turn_id=None,
    parent_thread_id=None,
    session_id=None,
    request_kind=None,
    client_call_id=None,
    conversation_id=None,
    previous_response_id=None,
    from_codex=False,
)
CODEX = {"user-agent": "codex_cli_rs/0.169.0 (Debian)"}


def test_a_plain_request_says_nothing() -> None:
    """The SDK alone sends no identity."""
    headers = {"user-agent": "OpenAI/Python 3.54.0", "x-client-request-id": "per-request"}
    body = {"model": "m", "input": "hi", "prompt_cache_key": "shared"}
    assert identify(headers, body) == NOBODY


def test_codex_says_everything_in_turn_metadata() -> None:
    """Codex's JSON string in client_metadata is read first, whole."""
    metadata = {
        "session_id": "session",
        "thread_id": "thread",
        "turn_id": "turn",
        "parent_thread_id": "parent",
        "request_kind": "turn",
    }
    headers = {**CODEX, "thread-id": "other", "x-codex-inference-call-id": "call"}
    body = {
        "client_metadata": {"x-codex-turn-metadata": json.dumps(metadata), "thread_id": "flat"},
        "previous_response_id": "resp_1",
        "conversation": {"id": "conv_1"},
    }
    assert identify(headers, body) == Identity(
        thread_id="thread",
        turn_id="turn",
        parent_thread_id="parent",
        session_id="session",
        request_kind="turn",
        client_call_id="call",
        conversation_id="conv_1",
        previous_response_id="resp_1",
        from_codex=True,
    )


def test_thread_sources_in_order() -> None:
    """As each source is taken away, the next one counts."""
    headers = {
        **CODEX,
        "x-codex-turn-metadata": '{"thread_id":"header metadata"}',
        "thread-id": "thread-id",
        "session-id": "session-id",
        "session_id": "session_id",
        "conversation_id": "conversation_id",
        "x-client-request-id": "x-client-request-id",
    }
    flat = {"x-codex-turn-metadata": '{"thread_id":"body metadata"}', "thread_id": "flat"}
    body = {"client_metadata": flat, "prompt_cache_key": "cache key", "conversation": "conv_1"}
    seen = []
    for source in (flat, headers, flat, headers, headers, headers, headers, headers, body, body):
        seen.append(identify(headers, body).thread_id)
        source.pop(next(key for key in source if key not in ("user-agent", "client_metadata")))
    assert seen == [
        "body metadata",
        "header metadata",
        "flat",
        "thread-id",
        "session-id",
        "session_id",
        "conversation_id",
        "x-client-request-id",
        "cache key",
        "conv_1",
    ]
    assert identify(headers, body).thread_id is None


@pytest.mark.parametrize(
    ("headers", "body", "name", "value"),
    [
        ({"x-codex-parent-thread-id": "p"}, {}, "parent_thread_id", "p"),
        ({}, {"client_metadata": {"x-codex-parent-thread-id": "p"}}, "parent_thread_id", "p"),
        ({}, {"client_metadata": {"turn_id": "t"}}, "turn_id", "t"),
        ({}, {"client_metadata": {"session_id": "s"}}, "session_id", "s"),
        ({}, {"client_metadata": {"session_id": "s"}}, "thread_id", "s"),
        ({"thread_id": "old spelling"}, {}, "thread_id", "old spelling"),
        ({}, {"conversation": "conv_1"}, "conversation_id", "conv_1"),
        ({}, {"conversation": {"id": "conv_1"}}, "thread_id", "conv_1"),
        ({"originator": "codex_exec"}, {}, "from_codex", True),
        ({"x-codex-window-id": "t:0"}, {}, "from_codex", True),
        ({"x-codex-turn-metadata": '{"turn_id":"t"}'}, {}, "from_codex", True),
        ({"user-agent": "my codex"}, {}, "from_codex", False),
    ],
)
def test_other_places(
    headers: dict[str, str], body: dict[str, object], name: str, value: object
) -> None:
    """The older and the flat spellings count too."""
    assert getattr(identify(headers, body), name) == value


@pytest.mark.parametrize(
    "hostile",
    ["", " ", "a" * 257, "a\nb", "a\0b", "\u202eabc", "\x1b[31m", "\ud800", "a\u2028b", 7, None,
     ["thread"], {"id": "x"}, True],
)  # fmt: skip
def test_ids_that_are_not_usable_are_passed_over(hostile: object) -> None:
    """An id that could harm a file, a terminal or a log does not count; the next source does."""
    body = {"client_metadata": {"thread_id": hostile, "turn_id": hostile}}
    identity = identify({"thread-id": "good"}, body)
    assert identity.thread_id == "good"
    assert identity.turn_id is None


def test_the_longest_id_is_taken() -> None:
    """256 characters are an id, spaces and other scripts included."""
    name = "\N{GREEK SMALL LETTER ALPHA} /../" * 42
    assert identify({"thread-id": name[:256]}, {}).thread_id == name[:256]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}" + " " * 300_000, "\ud800"])
def test_turn_metadata_that_is_none(text: str) -> None:
    """Metadata that does not parse, is no object or is too large says nothing."""
    headers = {"x-codex-turn-metadata": text}
    assert identify(headers, {"client_metadata": {"x-codex-turn-metadata": text}}) == NOBODY


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
KEYS = st.sampled_from(["thread_id", "turn_id", "x-codex-turn-metadata", "conversation", "id"])


@given(
    st.dictionaries(st.sampled_from(["thread-id", "x-codex-turn-metadata"]), st.text()),
    JSON
    | st.fixed_dictionaries({"client_metadata": st.dictionaries(KEYS, JSON), "conversation": JSON}),
)
def test_any_request_is_read(headers: dict[str, str], body: object) -> None:
    """No body and no header raises, and every id that comes out is usable."""
    identity = identify(headers, body)
    for value in (identity.thread_id, identity.turn_id, identity.conversation_id):
        assert value is None or (0 < len(value) <= 256 and value.isprintable())
