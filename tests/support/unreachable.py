"""Upstreams that cannot be talked to: none that listens, none that answers, none to trust."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from .script import GUARD_S

# Made for these tests alone, self-signed for 127.0.0.1 and a hundred years.
KEY_AND_CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1miHHQWyLjLGWIku
v5KlEtPyVG5a/dlyYl3yv8jMEEyhRANCAAR5s3edHMcNo0BnSvusD5DoWhx56aWN
c1smIQVNVGTySwT0EArtOuvw5PqEd8wRLyb5dZlODOTAj+ixGByUP+3K
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBkDCCATagAwIBAgIUez9QvqueneovlRt2FZjCiUbVgZcwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMjIzMDkyOFoYDzIxMjYxMDI5
MjMwOTI4WjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR5s3edHMcNo0BnSvusD5DoWhx56aWNc1smIQVNVGTySwT0EArtOuvw
5PqEd8wRLyb5dZlODOTAj+ixGByUP+3Ko2QwYjAdBgNVHQ4EFgQUvraln2iB2bQF
kjF3t1EO3xodr3AwHwYDVR0jBBgwFoAUvraln2iB2bQFkjF3t1EO3xodr3AwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IQCUS7BwjGjzr5k1Tg7BsikTWW2gNYNlQE0MFaPj0854TwIgfO/Rr6rjJUksChHe
WslnYdfpoaofX9WNmzYo2qciUZs=
-----END CERTIFICATE-----
"""


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that nothing listens on, kept so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: the kernel leaves further ones unanswered."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word on them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def tls_port(directory: Path, answer: bytes) -> Iterator[tuple[int, Path]]:
    """A port that answers one request over TLS, and the file of its certificate's authority."""
    certificate = directory / "certificate.pem"
    certificate.write_text(KEY_AND_CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(GUARD_S)
        thread = threading.Thread(target=_answer_one, args=(listener, context, answer))
        thread.start()
        try:
            yield listener.getsockname()[1], certificate
        finally:
            thread.join(GUARD_S)


def _answer_one(listener: socket.socket, context: ssl.SSLContext, answer: bytes) -> None:
    plain, _ = listener.accept()
    plain.settimeout(GUARD_S)
    # The client breaks the handshake off where it does not trust us.
    with plain, contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as tls:
        data = b""
        while b"\r\n\r\n" not in data:
            data += tls.recv(65536)
        tls.sendall(answer)
