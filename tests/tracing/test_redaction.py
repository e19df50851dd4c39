"""Headers that are kept, secrets in a head, and bodies that are no JSON."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.redaction import header_secrets, kept_headers, redact_body, redact_text


def test_kept_headers_are_an_allow_list() -> None:
    """Known response headers stay, under lower-case names; everything else is left out."""
    headers = (
        (b"X-Request-Id", b"req_1"),
        (b"Content-Type", b"text/event-stream"),
        (b"x-ratelimit-remaining-requests", b"99"),
        (b"OpenAI-Processing-MS", b"198"),
        (b"Retry-After", b"1"),
        (b"x-codex-primary-used-percent", b"3"),
        (b"Set-Cookie", b"__cf_bm=secret"),
        (b"X-Error-Json", b"eyJlcnJvciI6MX0="),
        (b"x-unknown", b"1"),
        (b"authorization", b"Bearer sk-1"),
    )
    assert kept_headers(headers) == {
        "x-request-id": "req_1",
        "content-type": "text/event-stream",
        "x-ratelimit-remaining-requests": "99",
        "openai-processing-ms": "198",
        "retry-after": "1",
        "x-codex-primary-used-percent": "3",
    }


def test_kept_header_values_are_text_without_credentials() -> None:
    """Repeated ones are joined, bad UTF-8 is replaced, URLs lose their credentials."""
    headers = (
        (b"X-Request-Id", b"a\xff"),
        (b"x-request-id", b"https://u:secret@h/"),
    )
    assert kept_headers(headers) == {"x-request-id": "a\ufffd, https://[redacted]@h/"}


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        (b"Authorization", b"Bearer sk-1", (b"Bearer sk-1", b"sk-1")),
        (b"proxy-authorization", b"Basic dTpwdw==",
         (b"Basic dTpwdw==", b"dTpwdw==", b"u:pw", b"pw")),
        (b"api-key", b"k", (b"k",)),
        (b"X-Api-Key", b"k", (b"k",)),
        (b"ChatGPT-Account-Id", b"acct", (b"acct",)),
        (b"x-oai-attestation", b"att", (b"att",)),
        (b"X-Some-Token", b"t", (b"t",)),
        (b"cookie", b'a=v1; b="v2"; bare', (b"v1", b"v2", b"bare")),
        (b"Set-Cookie", b"__cf=v1; Path=/; Secure", (b"v1",)),
        (b"sec-websocket-protocol", b"realtime, openai-insecure-api-key.sk-1", (b"sk-1",)),
        (b"x-codex-turn-metadata", b'{"origin":"https://tok@github.com/r"}', (b"tok",)),
        (b"api-key", b"k\xff", (b"k\xff",)),
        (b"session-id", b"s", ()),
        (b"idempotency-key", b"i", ()),
        (b"authorization", b"", ()),
    ],
)  # fmt: skip
def test_secrets_in_a_head(name: bytes, value: bytes, secrets: tuple[bytes, ...]) -> None:
    """Each header gives up its secrets in all their forms, and ids are none."""
    assert header_secrets(((name, value),)) == secrets


@given(st.lists(st.tuples(st.binary(), st.binary())))
def test_any_head_is_taken(headers: list[tuple[bytes, bytes]]) -> None:
    """No bytes raise."""
    header_secrets(tuple(headers))
    kept_headers(tuple(headers))


BODY = {
    "tools": [
        {"type": "mcp", "server_label": "l", "authorization": "Bearer tok-aaaa",
         "headers": {"X-Custom": "tok-bb}bb", "Other": "tok-cccc"}},
        {"domain_secrets": [{"domain": "a.example", "name": "KEY", "value": "tok-dd]dd"}]},
    ],
    "input": "https://u:tok-eeee@h/?api-key=tok-ffff",
    "api_key": "tok-gg\"gg",
}  # fmt: skip


@pytest.mark.parametrize("shape", ["cut short", "twice as JSON", "trailing comma", "NaN"])
def test_json_that_is_none_is_redacted_by_pattern(shape: str) -> None:
    """The secrets that structure would show are found in text as well; labels stay."""
    data = orjson.dumps(BODY)
    text = {
        "cut short": data[:-3],
        "twice as JSON": orjson.dumps(data.decode()).replace(b'\\\\\\"', b"x")[:-1],
        "trailing comma": data[:-1] + b",}",
        "NaN": data[:-1] + b',"x":NaN}',
    }[shape]
    redacted = redact_text(text)
    assert b"tok-" not in redacted
    assert b"a.example" in redacted
    assert b"X-Custom" in redacted


@pytest.mark.parametrize(
    ("data", "redacted"),
    [
        (b"api_key=tok-1&x=1", b"api_key=[redacted]&x=1"),
        (b"Authorization: Bearer tok-1\r\nX: 1", b"Authorization: [redacted]\r\nX: 1"),
        (b"curl -H 'x: Bearer tok-1'", b"curl -H 'x: Bearer [redacted]'"),
        (b'{"authorization": "tok-1', b'{"authorization": "[redacted]'),
        (b'{"authorization": {"token": "tok-1', b'{"authorization": {"token": "[redacted]'),
        (b'{"headers": {"X": ["tok-1", "tok-2"', b'{"headers": {"X": ["[redacted]", "[redacted]"'),
        (b"{'password': 'tok-1'}", b"{'password': '[redacted]'}"),
        (b"<a href='https://h/?sig=tok-1'>", b"<a href='https://h/?sig=[redacted]'>"),
    ],
)
def test_other_text_is_redacted_by_pattern(data: bytes, redacted: bytes) -> None:
    """Forms, heads, error pages and cut strings lose their secrets, and nothing else."""
    assert redact_text(data) == redacted


@given(st.binary())
def test_bytes_without_secrets_come_back(data: bytes) -> None:
    """Any bytes are taken; those that are no text are not harmed."""
    assert redact_text(data) == data or b":" in data or b"=" in data


@given(st.lists(st.sampled_from([*"\"'\\:{}[], ", "authorization", "headers", "domain_secrets"])))
def test_odd_quoting_is_taken(tokens: list[str]) -> None:
    """No arrangement of quotes, braces and names raises."""
    redact_text("".join(tokens).encode())


def test_structure_and_pattern_agree() -> None:
    """Both ways of redacting hide the same values of a body."""
    by_structure = redact_body(BODY)
    text = redact_text(orjson.dumps(BODY))
    assert not any(secret in text for secret in by_structure.secrets)
