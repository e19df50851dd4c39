"""The cases of Http11Probe as data, and how each is sent, answered and judged.

The list, what is sent and what is wanted are those of Http11Probe (github.com/MDA2AV/Http11Probe,
MIT, commit 95bc6a9), which is a program in C#. Left out are the cases that ask about an origin
server's own content: cookies, Range, Allow, Date and the like are upstream's here.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.raw_http import ConnectionEndedError, RawConnection
from tests.support.stalled_client import wait_until_read

CASES_FILE = Path(__file__).with_name("http_cases.toml")
PROBE = b"GET /-/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
"""A request of our own behind each case: its answer comes in its turn, or framing was lost."""

_REPEATED = re.compile(r"\{([^{}*]+)\*(\d+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case. `wants` and `allows` hold what passes and what is only tolerated, by word.

    A word is a status, `2xx`, `close` (without an answer), `2xx+close`, or `open` (nothing yet).
    `answers` is what tailrace says, `close` at the end where it does not wait for more; `arrives`
    the body that upstream reads. `probe` says when a request of ours follows, to see that framing
    holds: `behind` it in one piece, `after` its answer, or `never`, since it is not whole.
    `because` says why tailrace does not do what is wanted.
    """

    id: str
    rfc: str
    level: str
    wants: str
    allows: str
    sends: str
    answers: str
    probe: Literal["behind", "after", "never"] = "behind"
    arrives: str = ""
    because: str = ""

    @property
    def request(self) -> bytes:
        """The bytes that are sent: `{x*3}` stands for `xxx`."""
        return _written_out(self.sends)

    @property
    def body(self) -> bytes:
        """What upstream is to read as the body of the first request."""
        return _written_out(self.arrives)

    @property
    def relayed(self) -> int:
        """How many requests upstream is to see: none that is refused, none that has no head yet."""
        if self.answers == "open":
            return int(b"\r\n\r\n" in self.request)
        return sum(word.startswith("2") for word in self.answers.split())

    @property
    def verdict(self) -> str:
        """`pass`, `warn` or `fail`, as Http11Probe would say."""
        said = _said(self.answers)
        if said & set(self.wants.split()):
            return "pass"
        return "warn" if said & set(self.allows.split()) else "fail"


def _written_out(text: str) -> bytes:
    return _REPEATED.sub(lambda found: found[1] * int(found[2]), text).encode("latin-1")


def _said(answers: str) -> set[str]:
    """The words that an answer may be called by; the first response is what counts."""
    words = answers.split()
    first = words[0]
    if not first.isdigit():
        return {first}
    family = f"{first[0]}xx"
    closed = {f"{first}+close", f"{family}+close"} if words[1:2] == ["close"] else set()
    return {first, family} | closed


def cases() -> list[Case]:
    """Every case, in the order of the suite."""
    return [Case(**entry) for entry in tomllib.loads(CASES_FILE.read_text())["case"]]


def answers_of(port: int, case: Case) -> str:
    """Send the case; the statuses that it is answered with, and how that ended."""
    words: list[str] = []
    with RawConnection(port) as connection:
        try:
            connection.send(case.request + (PROBE if case.probe == "behind" else b""))
            if case.probe == "never":
                return _said_so_far(connection, port)
            while True:
                head_only = case.request.startswith(b"HEAD ") and not words
                answer = connection.read_exchange(head_only=head_only)
                if answer.body == b"ok\n":
                    return " ".join(words)
                words.append(str(answer.head.status))
                if case.probe == "after":
                    connection.send(PROBE)
        except (ConnectionEndedError, ConnectionError):
            return " ".join([*words, "close"])


def _said_so_far(connection: RawConnection, port: int) -> str:
    wait_until_read(port)
    connection.socket.setblocking(False)
    try:
        return "answered" if connection.socket.recv(1) else "close"
    except BlockingIOError:
        return "open"
