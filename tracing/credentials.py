"""Which names stand for secrets, and the credentials that URLs and query strings carry.

Nothing here knows headers or request bodies.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from urllib.parse import unquote, unquote_plus

REDACTED = "[redacted]"

TOKEN_CHARS_MIN = 20
"""A user name this long is a token as well: GitHub takes `https://<token>:x-oauth-basic@`."""

_SECRET_WORDS = frozenset(
    {
        "apikey",
        "attestation",
        "auth",
        "authentication",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "jwt",
        "key",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
        "sig",
        "signature",
        "token",
    }
)
_SECRET_ENDINGS = (
    "accesskey",
    "accesskeyid",
    "apikey",
    "authkey",
    "password",
    "privatekey",
    "secret",
    "secretkey",
    "signature",
    "subscriptionkey",
    "token",
)
_NOT_SECRET = frozenset({"idempotency-key", "sec-websocket-key", "x-openai-authorization-error"})
_WORD_BREAK = re.compile(r"[^a-z0-9]+")
_SCHEME = re.compile(r"(\S+)\s+(.*)", re.DOTALL)
_JOINED = re.compile(r"(?i)\s*,\s*(?=(?:basic|bearer|token)\s)")
_AUTH_PARAMETER = re.compile(r"""([A-Za-z][\w-]*)\s*=\s*"?([^",\s]+)""")
_ESCAPED_URL = re.compile(r"(?i)%3a%2f%2f")

# "://" as it is and as JSON inside a string may have it (":\/\/"), then up to what ends a URL in
# prose, JSON or code. A backslash ends it too, unless it escapes a slash or an ampersand.
_URL = re.compile(r"""(:(?:\\*/){2})([^\s"'<>\\`]+(?:\\+(?:/|u0026)[^\s"'<>\\`]*)*)""")
_AUTHORITY = re.compile(r"[^/?#\\]*")
_PARAMETER = re.compile(r"([?&;#]|\\+u0026)([^=&;?#\\]+)=((?:[^&#\\]++|\\++(?!u0026))+)")
_PROSE_AFTER_URL = ")].,;}!*"


def is_secret_name(name: str) -> bool:
    """Whether a header or a query parameter of this name holds a secret, going by its words."""
    lowered = name.lower()
    if lowered in _NOT_SECRET:
        return False
    if lowered.endswith(_SECRET_ENDINGS):
        return True
    return not _SECRET_WORDS.isdisjoint(_WORD_BREAK.split(lowered))


def credential_forms(value: str) -> tuple[str, ...]:
    """The forms in which the value of an Authorization field may turn up again.

    The whole, the token without its scheme, for Basic (RFC 7617) what it stands for, and of
    parameters (RFC 9110 section 11.4) those of a secret name. Fields that were joined by a comma
    are taken each for itself, too.
    """
    parts = dict.fromkeys([value, *_JOINED.split(value)])
    forms = [form for part in parts for form in _forms_of(part)]
    forms += [setting for name, setting in _AUTH_PARAMETER.findall(value) if is_secret_name(name)]
    return tuple(dict.fromkeys(form for form in forms if form))


def _forms_of(value: str) -> list[str]:
    with_scheme = _SCHEME.fullmatch(value.strip())
    scheme, token = with_scheme.groups() if with_scheme else (value, "")
    forms = [value, token, token.strip('"')]
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(token, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            decoded = ""
        forms += [decoded, decoded.partition(":")[2]]
    return forms


def redact_urls(text: str) -> tuple[str, tuple[bytes, ...]]:
    """Replace credentials in every URL of a text: userinfo, and parameters of a secret name.

    Returns `text` itself if there were none, and the secrets found, as they stood and
    percent-decoded. A user name alone is a credential (`https://<token>@github.com`), but not for
    ssh (`git@`).
    """
    if "://" not in text and ":\\" not in text:
        return text, ()
    secrets: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        rest = match[2]
        if "@" not in rest and "=" not in rest:
            return match[0]
        url = rest.rstrip(_PROSE_AFTER_URL)
        scheme_end = text[max(0, match.start() - 3) : match.start()].lower()
        redacted = _without_credentials(url, secrets, user_is_secret=scheme_end != "ssh")
        return match[1] + redacted + rest[len(url) :]

    redacted = _URL.sub(replaced, text)
    return (redacted, _distinct(secrets)) if secrets else (text, ())


def redact_query(query: str) -> tuple[str, tuple[bytes, ...]]:
    """Replace the values of secret parameters in a query string (without its `?`).

    Returns the secrets too, as they stood and percent-decoded.
    """
    secrets: list[str] = []
    redacted = _without_parameters("?" + query, secrets)[1:]
    return redacted, _distinct(secrets)


def _without_credentials(url: str, secrets: list[str], *, user_is_secret: bool) -> str:
    authority = _AUTHORITY.match(url)
    assert authority is not None, "the pattern matches the empty string"
    userinfo, at, host = authority[0].rpartition("@")
    user, colon, password = userinfo.partition(":")
    rest = url[authority.end() :]
    if not at or userinfo == REDACTED or not (password or (user and user_is_secret)):
        return authority[0] + _without_parameters(rest, secrets)
    secrets.append(userinfo)
    if password:
        secrets.append(password)
    if colon and (not password or len(user) >= TOKEN_CHARS_MIN):
        secrets.append(user)
    return f"{REDACTED}@{host}{_without_parameters(rest, secrets)}"


def _without_parameters(text: str, secrets: list[str]) -> str:
    def replaced(match: re.Match[str]) -> str:
        before, name, value = match.groups()
        # The last bracket may have been taken for the prose after a URL.
        if REDACTED.startswith(value):
            return match[0]
        if not is_secret_name(unquote(name)):
            inner = redact_urls(unquote(value))[1] if _ESCAPED_URL.search(value) else ()
            if not inner:
                # A semicolon in the value may be the next separator.
                return f"{before}{name}={_PARAMETER.sub(replaced, value)}"
            secrets.extend(secret.decode("utf-8", "surrogateescape") for secret in inner)
        secrets.append(value)
        return f"{before}{name}={REDACTED}"

    return _PARAMETER.sub(replaced, text)


def _distinct(secrets: Iterable[str]) -> tuple[bytes, ...]:
    forms = (form for secret in secrets for form in (secret, unquote(secret), unquote_plus(secret)))
    return tuple(dict.fromkeys(as_bytes(form) for form in forms))


def as_bytes(text: str) -> bytes:
    """UTF-8, also of the surrogates that stand for bytes which were none when decoded."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
