"""Upstreams that speak TLS with certificates good and bad, and tell what reached them."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import trustme

from .script import GUARD_S

Flaw = Literal["none", "unknown authority", "another host", "expired", "not valid yet"]

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@dataclass(slots=True, kw_only=True)
class TLSUpstream:
    """Where it listens, whom to trust for it, and every byte of plain text that it was sent."""

    port: int
    ca_file: Path
    heard: bytearray = field(default_factory=bytearray)


@contextmanager
def tls_upstream(directory: Path, flaw: Flaw, *, in_tunnel: bool = False) -> Iterator[TLSUpstream]:
    """Answer one connection over TLS; `in_tunnel` takes a CONNECT before it, as a proxy does."""
    authority = trustme.CA()
    ca_file = directory / "authority.pem"
    trusted = trustme.CA() if flaw == "unknown authority" else authority
    trusted.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certificate(authority, flaw).configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(GUARD_S)
        upstream = TLSUpstream(port=listener.getsockname()[1], ca_file=ca_file)
        arguments = (listener, context, upstream, in_tunnel)
        thread = threading.Thread(target=_serve_one, args=arguments, name="tls-upstream")
        thread.start()
        try:
            yield upstream
        finally:
            thread.join(GUARD_S)
            assert not thread.is_alive()


def _certificate(authority: trustme.CA, flaw: Flaw) -> trustme.LeafCert:
    now = datetime.now(UTC)
    match flaw:
        case "another host":
            return authority.issue_cert("api.example", "127.0.0.2")
        case "expired":
            begin, end = now - timedelta(days=9), now - timedelta(days=1)
            return authority.issue_cert("127.0.0.1", not_before=begin, not_after=end)
        case "not valid yet":
            begin, end = now + timedelta(days=1), now + timedelta(days=9)
            return authority.issue_cert("127.0.0.1", not_before=begin, not_after=end)
        case _:
            return authority.issue_cert("127.0.0.1")


def _serve_one(
    listener: socket.socket, context: ssl.SSLContext, upstream: TLSUpstream, in_tunnel: bool
) -> None:
    plain, _ = listener.accept()
    plain.settimeout(GUARD_S)
    # The client breaks the handshake off where it does not trust us.
    with plain, suppress(OSError):
        if in_tunnel:
            _read_head(plain)
            plain.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(plain, server_side=True) as tls:
            upstream.heard += _read_head(tls)
            tls.sendall(ANSWER)


def _read_head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (piece := connection.recv(65536)):
        data += piece
    return data
