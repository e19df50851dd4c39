"""Names that stand for secrets, and credentials in URLs and query strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.credentials import (
    REDACTED,
    credential_forms,
    is_secret_name,
    redact_query,
    redact_urls,
)

TOKENS = st.text("abcXYZ019-_.~%+", min_size=8, max_size=30).filter(lambda t: t.strip("*.!"))


@pytest.mark.parametrize(
    "name",
    ["Authorization", "api-key", "X-Api-Key", "api_key", "apiKey", "key", "x-goog-api-key", "sig",
     "cf-access-client-secret", "X-Amz-Signature", "accessToken", "helicone-auth", "AWSAccessKeyId",
     "x-xsrf-token", "ocp-apim-subscription-key", "set-cookie", "x-oai-attestation", "code_token"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    """Names in use for secrets are known by their words, in any case and spelling."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["api-version", "idempotency-key", "sec-websocket-key", "session-id", "thread-id", "user-agent",
     "x-ratelimit-remaining-tokens", "x-stainless-lang", "x-request-id", "author", "monkey",
     "x-openai-authorization-error", "traceparent", "max_tokens", "www-authenticate"],
)  # fmt: skip
def test_names_of_no_secrets(name: str) -> None:
    """Names that only look alike are none: their values are evidence."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "redacted", "secrets"),
    [
        ("https://u:pass-word@h/p", "https://[redacted]@h/p", (b"u:pass-word", b"pass-word")),
        ("https://ghp_123@github.com/x", "https://[redacted]@github.com/x", (b"ghp_123",)),
        ("postgres://u:p%40ss@h:5/d", "postgres://[redacted]@h:5/d",
         (b"u:p%40ss", b"u:p@ss", b"p%40ss", b"p@ss")),
        ("https://tok:@h/", "https://[redacted]@h/", (b"tok:", b"tok")),
        ("https://ghp_0123456789abcdef:x-oauth-basic@h/", "https://[redacted]@h/",
         (b"ghp_0123456789abcdef:x-oauth-basic", b"x-oauth-basic", b"ghp_0123456789abcdef")),
        ("https://h/?a=1&token=abc&b=2", "https://h/?a=1&token=[redacted]&b=2", (b"abc",)),
        ("https://h/#access_token=abc", "https://h/#access_token=[redacted]", (b"abc",)),
        ("https://h/?%74oken=abc", "https://h/?%74oken=[redacted]", (b"abc",)),
        ("see (https://h/?sig=abc), or", "see (https://h/?sig=[redacted]), or", (b"abc",)),
        ('{"u":"https://h/?key=abc"}', '{"u":"https://h/?key=[redacted]"}', (b"abc",)),
        (r'{"u":"https:\/\/u:pw@h\/?a=1\u0026key=abc"}',
         r'{"u":"https:\/\/[redacted]@h\/?a=1\u0026key=[redacted]"}', (b"u:pw", b"pw", b"abc")),
        (r'\"u\":\"https://h/?key=abc\"', r'\"u\":\"https://h/?key=[redacted]\"', (b"abc",)),
        ("https://h/?a=1&amp;sig=abc", "https://h/?a=1&amp;sig=[redacted]", (b"abc",)),
        ("https://a:b1@x https://c:d2@y", "https://[redacted]@x https://[redacted]@y",
         (b"a:b1", b"b1", b"c:d2", b"d2")),
    ],
)  # fmt: skip
def test_credentials_in_urls(text: str, redacted: str, secrets: tuple[bytes, ...]) -> None:
    """Userinfo and secret parameters go, the rest of the URL and of the text stays."""
    assert redact_urls(text) == (redacted, secrets)


@pytest.mark.parametrize(
    "text",
    ["no url", "https://h/p?a=1&page=2#frag", "ssh://git@github.com/x", "git+ssh://git@h/x",
     "git@github.com:x/y", "https://[::1]:80/?a=b", "https://h/@user/post", "a://", "mailto:a@b",
     "C:\\dir\\x", "https://@h/?token=", "ssh://[redacted]@h"],
)  # fmt: skip
def test_urls_without_credentials_stay(text: str) -> None:
    """Ordinary URLs, an ssh user among them, come back as the same object."""
    redacted, secrets = redact_urls(text)
    assert redacted is text
    assert secrets == ()


def test_a_password_is_secret_for_ssh_too() -> None:
    """Only the bare user name of ssh is no credential."""
    assert redact_urls("ssh://git:pw-1@h/")[0] == "ssh://[redacted]@h/"


@given(TOKENS, TOKENS, st.text(max_size=20), st.text(max_size=20))
def test_no_url_keeps_its_credentials(token: str, value: str, before: str, after: str) -> None:
    """Whatever stands around it, a URL loses its secrets, and doing it again changes nothing."""
    text = f"{before} https://user:{token}@host.example/p?x=1&api-key={value}&y=2 {after}"
    redacted, secrets = redact_urls(text)
    assert f"user:{token}@" not in redacted
    assert f"api-key={value}" not in redacted
    assert {token.encode(), value.encode()} <= set(secrets)
    assert redact_urls(redacted) == (redacted, ())


@given(st.text(st.sampled_from('ab:/\\?&=#;@u0026 "')))
def test_any_text_is_taken(text: str) -> None:
    """No text raises, and what was redacted once needs no second time."""
    redacted, _ = redact_urls(text)
    assert redact_urls(redacted) == (redacted, ())


@pytest.mark.parametrize(
    ("query", "redacted", "secrets"),
    [
        ("", "", ()),
        ("api-version=1&x=%20", "api-version=1&x=%20", ()),
        ("api-key=k1&a=b", "api-key=[redacted]&a=b", (b"k1",)),
        ("a=b&token=x%2By+z", "a=b&token=[redacted]", (b"x%2By+z", b"x+y+z", b"x+y z")),
        ("sig=a;b\\c=d", "sig=[redacted]", (b"a;b\\c=d",)),
        ("key=1&key=2", "key=[redacted]&key=[redacted]", (b"1", b"2")),
        ("a=b;key=1;c=d", "a=b;key=[redacted]", (b"1;c=d",)),
        (
            "to=https%3A%2F%2Fu%3Apw-1%40h",
            "to=[redacted]",
            (b"u:pw-1", b"pw-1", b"https%3A%2F%2Fu%3Apw-1%40h", b"https://u:pw-1@h"),
        ),
        ("to=https%3A%2F%2Fh%2F%3Fa%3Db", "to=https%3A%2F%2Fh%2F%3Fa%3Db", ()),
    ],
)
def test_queries(query: str, redacted: str, secrets: tuple[bytes, ...]) -> None:
    """Secret parameters lose their values, the others stay byte for byte."""
    assert redact_query(query) == (redacted, secrets)


@pytest.mark.parametrize(
    ("value", "forms"),
    [
        ("Bearer sk-1", ("Bearer sk-1", "sk-1")),
        ("sk-1", ("sk-1",)),
        ("Basic dXNlcjpodW50ZXIy",
         ("Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy", "user:hunter2", "hunter2")),
        ("Basic ???", ("Basic ???", "???")),
        ("Bearer\t sk-1", ("Bearer\t sk-1", "sk-1")),
        ('Bearer "sk-1"', ('Bearer "sk-1"', '"sk-1"', "sk-1")),
        ("Bearer a, Bearer b",
         ("Bearer a, Bearer b", "a, Bearer b", "Bearer a", "a", "Bearer b", "b")),
        ("a/b, c/d", ("a/b, c/d", "c/d")),
        ("AWS4 Region=eu, Signature=\"ab\"",
         ("AWS4 Region=eu, Signature=\"ab\"", "Region=eu, Signature=\"ab\"",
          "Region=eu, Signature=\"ab", "ab")),
        ("", ()),
    ],
)  # fmt: skip
def test_forms_of_an_authorization(value: str, forms: tuple[str, ...]) -> None:
    """The token is secret without its scheme too, and so is what Basic only encodes."""
    assert credential_forms(value) == forms


def test_the_replacement_is_recognised() -> None:
    """What stands for a secret is no secret."""
    assert redact_urls(f"https://{REDACTED}@h/?key={REDACTED}")[1] == ()
