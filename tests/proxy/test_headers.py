"""Which fields and which framing go on: the decision alone, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.headers import Framing, request_head, response_framing, response_head
from tests.support.differential import HOP_BY_HOP
from tests.support.script import RawHeaders

OWN: RawHeaders = ((b"Host", b"upstream.example"),)

NAMES = st.sampled_from(
    [b"Accept", b"X-Name", b"x-name", b"Content-Type", b"Content-Length", b"Connection", b"Host"]
    + [name.title() for name in sorted(HOP_BY_HOP)]
)
VALUES = st.sampled_from(
    [b"", b"1", b"a, b", b"X-Name", b"close, x-name", b"caf\xe9", b"content-length"]
)
FIELDS = st.lists(st.tuples(NAMES, VALUES)).map(tuple)


def sent(headers: RawHeaders, *, is_chunked: bool = False) -> list[bytes]:
    """The lines of the head that goes upstream for a POST."""
    head = request_head(
        method="POST",
        target=b"/v1/responses",
        own_fields=OWN,
        headers=headers,
        is_chunked=is_chunked,
    )
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].split(b"\r\n")


def answered(headers: RawHeaders, framing: Framing, connection: bytes | None = None) -> list[bytes]:
    """The lines of the head that goes to the client."""
    head = response_head(
        status=200, reason=b"OK", headers=headers, framing=framing, connection=connection
    )
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].split(b"\r\n")


def test_request_head_is_the_clients_but_for_the_host() -> None:
    """Order, case, duplicates, empty values and odd bytes stay."""
    headers = (
        (b"hOST", b"127.0.0.1:8787"),
        (b"X-b", b"2"),
        (b"Authorization", b"Bearer x"),
        (b"x-B", b"1"),
        (b"X-Empty", b""),
        (b"X-Latin", b"caf\xe9"),
    )
    assert sent(headers) == [
        b"POST /v1/responses HTTP/1.1",
        b"Host: upstream.example",
        b"X-b: 2",
        b"Authorization: Bearer x",
        b"x-B: 1",
        b"X-Empty: ",
        b"X-Latin: caf\xe9",
    ]


def test_expect_stays_here() -> None:
    """We answered it; upstream would answer a second time."""
    assert sent(((b"eXpect", b"100-continue"),)) == sent(())


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_field_goes_no_further(name: bytes) -> None:
    """RFC 9110, 7.6.1, both ways and in any case."""
    field = ((name.upper(), b"x"),)
    assert sent(field) == sent(())
    assert answered(field, Framing.LENGTH) == answered((), Framing.LENGTH)


def test_fields_that_connection_names_go_no_further() -> None:
    """Each of them, in any case, of each Connection field, both ways."""
    headers = (
        (b"Connection", b"keep-alive , X-One,,x-TWO"),
        (b"X-one", b"1"),
        (b"X-Two", b"2"),
        (b"connection", b"x-three"),
        (b"X-Three", b"3"),
        (b"X-Four", b"4"),
    )
    assert sent(headers)[2:] == [b"X-Four: 4"]
    assert answered(headers, Framing.LENGTH)[1:] == [b"X-Four: 4"]


def test_connection_cannot_name_what_frames_the_body() -> None:
    """Dropping it would let the body be read as the next request."""
    headers = ((b"Connection", b"content-length"), (b"Content-Length", b"5"))
    assert b"Content-Length: 5" in sent(headers)
    assert b"Content-Length: 5" in answered(headers, Framing.LENGTH)


def test_chunks_are_told_to_upstream() -> None:
    """Where the client sent them; its own field has gone with the other hop-by-hop ones."""
    headers = ((b"Transfer-Encoding", b"chunked"),)
    assert sent(headers, is_chunked=True)[2:] == [b"Transfer-Encoding: chunked"]


def test_framing_and_connection_are_told_to_the_client() -> None:
    """Our own, in the place of upstream's."""
    headers = ((b"Transfer-Encoding", b"gzip, chunked"), (b"Connection", b"keep-alive"))
    assert answered(headers, Framing.CHUNKED, b"close")[1:] == [
        b"Transfer-Encoding: chunked",
        b"Connection: close",
    ]
    assert answered(headers, Framing.CLOSE)[1:] == []


def test_reason_stays_as_it_is() -> None:
    """Empty ones too: the space after the status is part of the grammar (RFC 9112, 4)."""
    for reason in (b"", b"caf\xe9"):
        head = response_head(
            status=299, reason=reason, headers=(), framing=Framing.NONE, connection=None
        )
        assert head == b"HTTP/1.1 299 " + reason + b"\r\n\r\n"


LENGTH: RawHeaders = ((b"content-LENGTH", b"5"),)
FRAMINGS: list[tuple[str, int, RawHeaders, bool, Framing]] = [
    ("POST", 200, LENGTH, True, Framing.LENGTH),
    ("POST", 200, LENGTH, False, Framing.LENGTH),
    ("POST", 200, (), True, Framing.CHUNKED),
    ("POST", 200, (), False, Framing.CLOSE),
    ("POST", 205, (), True, Framing.CHUNKED),
    ("HEAD", 200, LENGTH, True, Framing.NONE),
    ("HEAD", 200, (), False, Framing.NONE),
    ("GET", 204, (), True, Framing.NONE),
    ("GET", 304, LENGTH, True, Framing.NONE),
]


@pytest.mark.parametrize(("method", "status", "headers", "takes_chunks", "wanted"), FRAMINGS)
def test_framing_of_a_response(
    method: str, status: int, headers: RawHeaders, takes_chunks: bool, wanted: Framing
) -> None:
    """A length is kept; else chunks, and for a client that knows none the connection's end."""
    framing = response_framing(
        method=method, status=status, headers=headers, client_takes_chunks=takes_chunks
    )
    assert framing is wanted


@given(headers=FIELDS, is_chunked=st.booleans())
def test_any_head_has_one_host_and_one_framing(headers: RawHeaders, *, is_chunked: bool) -> None:
    """Whatever the fields: what a next server frames by is said once, and by us."""
    names = [line.partition(b":")[0].lower() for line in sent(headers, is_chunked=is_chunked)[1:]]
    assert names.count(b"host") == 1
    assert names.count(b"transfer-encoding") == is_chunked
    assert not set(names) & (HOP_BY_HOP - {b"transfer-encoding"})
    lengths = [name for name, _ in headers if name.lower() == b"content-length"]
    assert names.count(b"content-length") == len(lengths)
