"""Secrets in JSON bodies."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.body_redaction import redact_body
from tracing.credentials import REDACTED
from tracing.strict_json import loads_lenient

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
# Of letters that make no name of a secret and no URL; hypothesis tries the strings of our source.
ORDINARY_TEXTS = st.text('bm \u2603\n/"\\', max_size=12)
ORDINARY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | ORDINARY_TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ORDINARY_TEXTS, inner, max_size=3),
    max_leaves=6,
)
# Letters that no key, label or replacement has, so that what is left of one is seen.
SECRETS = st.text("QWZ0123", min_size=8, max_size=16)


def resolve(value: Any, pointer: str) -> Any:
    """RFC 6901."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


@st.composite
def bodies(draw: st.DrawFn) -> tuple[Any, list[str]]:
    """A request with secrets in known places, some echoed elsewhere, and those secrets."""
    secrets = draw(st.lists(SECRETS, min_size=6, max_size=6, unique=True))
    token, header, in_url, password, domain_secret, key = secrets
    tools = [
        {"type": "mcp", "server_url": f"https://h/?token={in_url}", "authorization": token},
        {"type": "mcp", "server_label": "s", "headers": {"X-Any": f"Bearer {header}"}},
        {"network_policy": {"domain_secrets": [{"domain": "d", "value": domain_secret}]}},
        {"metadata": {"api_key": key, f"https://u:{password}@h": draw(JSON)}},
    ]
    holder: Any = {"tools": tools, "extra": draw(JSON), "echo": draw(TEXTS) + draw(SECRETS)}
    echoed = draw(st.sampled_from(secrets))
    holder["input"] = [{"content": f"said {echoed}."}, {echoed: 1}, f'{{"inner": "{echoed}"}}']
    for name in draw(st.lists(st.sampled_from(["a/b", "~1", "", "0"]), max_size=3)):
        holder = {name: [draw(JSON), holder]}
    return holder, secrets


@given(bodies())
def test_no_secret_is_left_anywhere(case: tuple[Any, list[str]]) -> None:
    """Wherever a known secret stood or is repeated, it is gone; the pointers say where it was."""
    body, secrets = case
    before = copy.deepcopy(body)
    redacted = redact_body(body)
    text = orjson.dumps(redacted.value).decode()
    for secret in secrets:
        assert secret not in text
        assert secret.encode() in redacted.secrets
        assert not any(secret in pointer for pointer in redacted.pointers)
    for pointer in redacted.pointers:
        assert resolve(body, pointer) != resolve(redacted.value, pointer)
    assert body == before
    assert len(set(redacted.pointers)) == len(redacted.pointers)


@given(bodies())
def test_redacting_again_changes_nothing(case: tuple[Any, list[str]]) -> None:
    """A redacted body holds no more secrets, and comes back as the same object."""
    once = redact_body(case[0]).value
    again = redact_body(once)
    assert again.value is once
    assert (again.pointers, again.secrets) == ((), ())


@given(ORDINARY_JSON)
def test_ordinary_json_is_the_same_object(value: object) -> None:
    """Where nothing is found, nothing is copied."""
    redacted = redact_body(value)
    assert redacted.value is value
    assert redacted.pointers == ()


def test_every_known_place() -> None:
    """The places of a Responses request, what replaces them and what is reported."""
    body = {
        "tools": [
            {"type": "mcp", "server_label": "l", "server_url": "https://m.example/sse",
             "authorization": "Bearer mcp-token-1",
             "headers": {"X-Custom": "custom-value", "Accept": "application/json"}},
            {"type": "shell", "environment": {"network_policy": {"domain_secrets": [
                {"domain": "a.example", "name": "KEY", "value": "domain-secret"}]}}},
        ],
        "input": [{"type": "input_image", "image_url": "https://h/i.png?sig=signature-1"}],
        "client_metadata": {"x-codex-turn-metadata": '{"origin":"https://ghp-token@g.example/r"}'},
    }  # fmt: skip
    redacted = redact_body(body)
    assert redacted.value == {
        "tools": [
            {"type": "mcp", "server_label": "l", "server_url": "https://m.example/sse",
             "authorization": REDACTED,
             "headers": {"X-Custom": REDACTED, "Accept": REDACTED}},
            {"type": "shell", "environment": {"network_policy": {"domain_secrets": [
                {"domain": "a.example", "name": "KEY", "value": REDACTED}]}}},
        ],
        "input": [{"type": "input_image", "image_url": "https://h/i.png?sig=[redacted]"}],
        "client_metadata": {"x-codex-turn-metadata": '{"origin":"https://[redacted]@g.example/r"}'},
    }  # fmt: skip
    assert set(redacted.pointers) == {
        "/tools/0/authorization",
        "/tools/0/headers/X-Custom",
        "/tools/0/headers/Accept",
        "/tools/1/environment/network_policy/domain_secrets/0/value",
        "/input/0/image_url",
        "/client_metadata/x-codex-turn-metadata",
    }
    assert set(redacted.secrets) == {
        b"Bearer mcp-token-1", b"mcp-token-1", b"custom-value", b"domain-secret", b"signature-1",
        b"ghp-token",
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"logprobs": [{"token": "Hello", "logprob": -0.1}]},
        {"filters": {"type": "eq", "key": "category", "value": "books"}},
        {"prompt_cache_key": "shared-key", "safety_identifier": "u"},
        {"tools": [{"type": "function", "parameters": {
            "properties": {"authorization": {"type": "string"}, "headers": {"type": "object"}},
            "required": ["authorization"]}}]},
        {"input": "my Authorization: Bearer abc is content"},
        {"error": {"headers": {"x-request-id": "req_1", "content-type": "text/html"}}},
        {"authorization": None, "api_key": "", "password": True},
        {"tools": [{"type": "mcp", "headers": None, "authorization": None}]},
        [], {}, None, "text", 1,
    ],
)  # fmt: skip
def test_content_and_schemas_are_no_secrets(body: object) -> None:
    """Look-alikes stay: pieces of text, attributes, schemas, prompts, empty fields."""
    assert redact_body(body).value is body


def test_odd_shapes_of_secrets_are_replaced_too() -> None:
    """Numbers, lists and nested objects where a string belongs keep no secret either."""
    body = {
        "api_key": 1234567890,
        "tools": [{"type": "mcp", "authorization": ["tok-aaaa", {"b": "tok-bbbb"}],
                   "headers": [["X-Key", "tok-cccc"]]},
                  {"server_label": "l", "headers": "X-Key: tok-hhhh", "token": "tok-iiii"}],
        "headers": {"Authorization": ["Bearer tok-dddd"], "Accept": ["a/b"]},
        "password": "https://u:tok-gggg@h",
        "input": "tok-gggg",
        "domain_secrets": {"value": "tok-eeee", "domain": "https://u:tok-ffff@h"},
    }  # fmt: skip
    redacted = redact_body(body)
    text = orjson.dumps(redacted.value)
    assert b"tok-" not in text
    assert b"1234567890" not in text
    assert b"a/b" in text


def test_a_body_that_is_one_string() -> None:
    """The pointer to the whole document is the empty string."""
    redacted = redact_body("https://u:pass-word@h")
    assert (redacted.value, redacted.pointers) == ("https://[redacted]@h", ("",))


def test_a_common_header_value_is_not_masked_elsewhere() -> None:
    """An MCP tool's `Accept` hides itself, not the word everywhere."""
    body = {"tools": [{"type": "mcp", "headers": {"Accept": "application/json"}}],
            "input": "application/json"}  # fmt: skip
    redacted = redact_body(body)
    assert redacted.pointers == ("/tools/0/headers/Accept",)
    assert redacted.secrets == ()


def test_bodies_deeper_than_the_recursion_limit() -> None:
    """What the lenient parser takes is walked without recursion."""
    data = b'{"a":' * 1000 + b'{"password":"deep-secret"}' + b"}" * 1000
    redacted = redact_body(loads_lenient(data))
    assert redacted.pointers == ("/a" * 1000 + "/password",)
    assert redacted.secrets == (b"deep-secret",)


def test_only_what_changed_is_copied() -> None:
    """Siblings of a redacted value are shared with the original."""
    body = {"input": [1, 2, 3], "tools": [{"authorization": "secret-value"}]}
    value: Any = redact_body(body).value
    assert value["input"] is body["input"]
    assert list(value) == list(body)
