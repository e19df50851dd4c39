"""Where a request can carry a secret: a corpus of places, each by its name."""

import base64
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import orjson
import zstandard

from .raw_http import request_bytes
from .script import RawHeaders


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A request that carries a secret somewhere."""

    headers: RawHeaders = ()
    query: str = ""
    body: object = None
    raw_body: bytes | None = None

    def request(self, path: str = "/v1/responses") -> bytes:
        """The request's bytes."""
        plain = self.body if self.body is not None else {"model": "m", "input": "Hi"}
        data = orjson.dumps(plain) if self.raw_body is None else self.raw_body
        url = f"http://127.0.0.1{path}" + (f"?{self.query}" if self.query else "")
        return request_bytes("POST", url, headers=self.headers, body=data)


def body_with(**fields: object) -> dict[str, object]:
    """A call's body with these fields."""
    return {"model": "m", "input": "Hi", "stream": True} | fields


def tool_with(**fields: object) -> dict[str, object]:
    """A call's body whose MCP tool has these fields."""
    tool = {"type": "mcp", "server_label": "s", "server_url": "https://mcp.example/sse"}
    return body_with(tools=[tool | fields])


def header_with(name: bytes, value: bytes) -> Placed:
    """A call with this header."""
    return Placed(headers=((name, value),))


def escaped(secret: str) -> str:
    """The secret as a URL has it, every byte of it escaped."""
    return "".join(f"%{byte:02x}" for byte in secret.encode())


def image_with(url: str) -> Placed:
    """A call that shows the model this image."""
    image = {"type": "input_image", "image_url": url}
    return Placed(body=body_with(input=[{"role": "user", "content": [image]}]))


def domain_secret(secret: str) -> Placed:
    """A call whose shell may use the secret on one domain."""
    policy = {
        "type": "allowlist",
        "allowed_domains": ["api.example"],
        "domain_secrets": [{"domain": "api.example", "name": "K", "value": secret}],
    }
    container = {"type": "container_auto", "network_policy": policy}
    return Placed(body=body_with(tools=[{"type": "shell", "environment": container}]))


def gzipped(body: object) -> Placed:
    """A call whose body is compressed."""
    return Placed(
        headers=((b"Content-Encoding", b"gzip"),), raw_body=gzip.compress(orjson.dumps(body))
    )


PLACES: dict[str, Callable[[str], Placed]] = {
    "authorization": lambda secret: header_with(b"Authorization", b"Bearer " + secret.encode()),
    "basic authorization": lambda secret: header_with(
        b"Authorization", b"Basic " + base64.b64encode(b"user:" + secret.encode())
    ),
    "authorization twice": lambda secret: Placed(
        headers=(
            (b"authorization", b"Bearer another-key-of-somebody"),
            (b"AUTHORIZATION", b"Bearer " + secret.encode()),
        )
    ),
    "proxy-authorization": lambda secret: header_with(b"Proxy-Authorization", secret.encode()),
    "api-key": lambda secret: header_with(b"api-key", secret.encode()),
    "x-api-key": lambda secret: header_with(b"X-Api-Key", secret.encode()),
    "cookie": lambda secret: header_with(b"Cookie", f"a=1; session={secret}; b=2".encode()),
    "chatgpt-account-id": lambda secret: header_with(b"chatgpt-account-id", secret.encode()),
    "x-oai-attestation": lambda secret: header_with(b"X-OAI-Attestation", secret.encode()),
    "authorization and a tab": lambda secret: header_with(
        b"Authorization", b"Bearer\t" + secret.encode()
    ),
    "a list of authorizations": lambda secret: header_with(
        b"AuthoriZation", b"Bearer another-key-of-somebody, Bearer " + secret.encode()
    ),
    "signature": lambda secret: header_with(
        b"Authorization", b'AWS4-HMAC-SHA256 SignedHeaders=host, Signature="%b"' % secret.encode()
    ),
    "cookies": lambda secret: Placed(
        headers=((b"cookie", b"a=1"), (b"COOKIE", b'session="%b"' % secret.encode()))
    ),
    "some token": lambda secret: header_with(b"X-Acme-Access-Token", secret.encode()),
    "query api-key": lambda secret: Placed(query=f"a=b&api-key={quote(secret)}&c=d"),
    "query key escaped": lambda secret: Placed(query=f"access%5Ftoken={escaped(secret)}"),
    "query after a semicolon": lambda secret: Placed(query=f"a=b;api_key={quote(secret)}"),
    "query twice": lambda secret: Placed(query=f"api_key=another&API_KEY={quote(secret)}"),
    "url in the query": lambda secret: Placed(
        query="to=" + quote(f"https://user:{quote(secret, safe='')}@h/", safe="")
    ),
    "query sig": lambda secret: Placed(query=f"sv=2024&sig={quote(secret)}"),
    "mcp authorization": lambda secret: Placed(body=tool_with(authorization=secret)),
    "mcp field of another name": lambda secret: Placed(body=tool_with(token=secret)),
    "mcp headers in one string": lambda secret: Placed(body=tool_with(headers=f"X-Any: {secret}")),
    "mcp header": lambda secret: Placed(body=tool_with(headers={"X-Anything": secret})),
    "mcp url user": lambda secret: Placed(
        body=tool_with(server_url=f"https://user:{quote(secret, safe='')}@mcp.example/")
    ),
    "mcp url key": lambda secret: Placed(
        body=tool_with(server_url=f"https://mcp.example/?token={quote(secret)}")
    ),
    "image url": lambda secret: image_with(f"https://img.example/a?sig={quote(secret)}"),
    "domain secrets": domain_secret,
    "gzip body": lambda secret: gzipped(tool_with(authorization=secret)),
    "zstd body": lambda secret: Placed(
        headers=((b"Content-Encoding", b"zstd"),),
        raw_body=zstandard.compress(orjson.dumps(tool_with(authorization=secret))),
    ),
    "model": lambda secret: Placed(
        headers=((b"Authorization", b"Bearer " + secret.encode()),), body=body_with(model=secret)
    ),
    "body that repeats a key": lambda secret: Placed(
        raw_body=b'{"tools": [{"type": "mcp", "authorization": "%b", "authorization": null}]}'
        % secret.encode()
    ),
    "body that does not say it is gzip": lambda secret: Placed(
        raw_body=gzip.compress(orjson.dumps(tool_with(authorization=secret)))
    ),
    "body of a coding nobody knows": lambda secret: Placed(
        headers=((b"Content-Encoding", b"x-own"),),
        raw_body=orjson.dumps(tool_with(authorization=secret)),
    ),
    "body cut in an object": lambda secret: Placed(
        raw_body=b'{"tools": [{"authorization": {"token": ["%b"]' % secret.encode()
    ),
    "body that is no JSON": lambda secret: Placed(
        raw_body=b'{"tools": [{"authorization": "%b"}], oops' % secret.encode()
    ),
    "body cut short": lambda secret: Placed(
        raw_body=b'{"tools": [{"headers": {"X-Any": "%b' % secret.encode()
    ),
}


READABLE_PLACES = [place for place in PLACES if not place.startswith("body ")]
"""Of a body that cannot be parsed it is known where a secret stood, and not what it is."""
