"""One run of everything, and a search of all that it left for each secret that was in it."""

import secrets
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.events import ev_created, ev_text_delta, sse
from tests.support.raw_http import BodyReader, ConnectionEndedError, RawConnection, exchange
from tests.support.script import Gate, Reply, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.secret_places import PLACES, Placed
from tests.support.secret_search import assert_nowhere, files_in
from tests.support.serve_process import ServeProcess
from tests.support.waiting import wait_until
from tests.test_command import run

PAGES = ("/-/healthz", "/-/readyz", "/-/metrics", "/-/nothing")
BEGUN = sse(ev_created("resp_1"), ev_text_delta("Hel"))

# A client that has its key from its arguments, and another from the environment.
CLIENT = """
import os, sys, urllib.error, urllib.request
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/responses?api-key=" + sys.argv[2],
    data=b'{"model": "m", "input": "Hi", "stream": true}',
    headers={"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "X-Api-Key": sys.argv[2]},
)
try:
    urllib.request.urlopen(request).read()
except urllib.error.HTTPError as error:
    sys.exit(error.code % 256)
"""


class Corpus:
    """Hands out secrets, each of which stands nowhere by chance, and remembers them."""

    def __init__(self) -> None:
        self.secrets: list[str] = []

    def new(self) -> str:
        """One more; it needs escapes in a URL."""
        self.secrets.append(f"sk-{secrets.token_hex(12)}+/{secrets.token_hex(4)}")
        return self.secrets[-1]

    def new_in_url(self) -> str:
        """One more, as it stands in a URL."""
        return quote(self.new(), safe="")


def echo(secret: str) -> bytes:
    """A part of a stream in which upstream repeats the secret."""
    return sse(ev_text_delta(f"your key is {secret}"), first=2)


def malformed(corpus: Corpus) -> list[bytes]:
    """Requests that are refused, each with a secret where a client may have put it."""
    heads = [
        f"POST http://user:{corpus.new_in_url()}@h/v1/responses HTTP/1.1\r\nHost: h\r\n",
        f"CONNECT user:{corpus.new_in_url()}@h:443 HTTP/1.1\r\nHost: h\r\n",
        f"{corpus.new_in_url()} /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        f"POST /v1/responses?api-key={corpus.new_in_url()} HTTP/1.1\r\nHost: evil.example\r\n",
        f"POST /v1/../responses?sig={corpus.new_in_url()} HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        f"POST /v1/responses?key={corpus.new_in_url()} HTTP/9.9\r\nHost: 127.0.0.1\r\n",
    ]
    fields = [
        f"Authorization: Bearer {corpus.new()}\r\nno colon\r\n",
        f"Authorization: Bearer {corpus.new()}\x00\r\n",
        f"Authorization : Bearer {corpus.new()}\r\n",
        f"Author ization: Bearer {corpus.new()}\r\n",
        f"Authorization: Bearer {corpus.new()}\r\n folded {corpus.new()}\r\n",
        f"Authorization: Bearer {corpus.new()}\r\nX-Large: {'x' * 70_000}\r\n",
        f"Authorization: Bearer {corpus.new()}\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        f"Content-Length: {corpus.new()}\r\n",
        f"Transfer-Encoding: {corpus.new()}\r\n",
        f"Cookie: session={corpus.new()}\r\nOrigin: https://evil.example\r\n",
        f"Cookie: session={corpus.new()}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX\r\n",
    ]
    post = "POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    return [f"{head}\r\n".encode() for head in [*heads, *(post + field for field in fields)]]


def send_malformed(port: int, request: bytes) -> None:
    """Send it, and read whatever answer there is; none was asked of upstream."""
    with RawConnection(port) as connection:
        connection.send(request)
        try:
            head = connection.read_head()
        except ConnectionEndedError:
            return
        assert head.status >= 400
        connection.wait_until_closed()


def call_from_every_place(
    process: ServeProcess, upstream: ScriptedUpstream, corpus: Corpus
) -> None:
    """A call for each place that can carry a secret; of half of them upstream repeats it."""
    for number, place in enumerate(PLACES):
        secret = corpus.new()
        is_echoed = number % 2 and not place.startswith("body ")
        upstream.enqueue(stream_reply(BEGUN, echo(secret) if is_echoed else b""))
        exchange(process.port, PLACES[place](secret).request())
    key = corpus.new()
    carrier = Placed(headers=((b"Authorization", b"Bearer " + key.encode()),))
    for path in (f"/{quote(key, safe='')}/v1/responses", f"/v1/files/{quote(key, safe='')}"):
        upstream.enqueue(stream_reply(echo(key)))
        exchange(process.port, carrier.request(path))


def crash_with_an_open_call(
    process: ServeProcess, upstream: ScriptedUpstream, corpus: Corpus
) -> None:
    """Kill it in the middle of a stream that repeats the key."""
    secret = corpus.new()
    upstream.enqueue(stream_reply(BEGUN, echo(secret), sse(ev_text_delta("!"), first=3), Gate()))
    with RawConnection(process.port) as connection:
        connection.send(PLACES["authorization"](secret).request())
        BodyReader(connection, connection.read_head()).read_until(b'"!"')
        wait_until(
            lambda: any(b'"!"' in file.read_bytes() for file in process.trace_dir.rglob("*.cap")),
            "the last piece on disk",
        )
        process.kill()


def test_no_secret_is_anywhere(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """Not in the traces, sealed and reduced, nor on a page, in the log or what commands print."""
    corpus = Corpus()
    proxy_login = f"http://user:{corpus.new_in_url()}@127.0.0.1:{upstream.port}"
    places: dict[str, bytes] = {}
    with ServeProcess(
        "http://api.example/v1",
        tmp_path / "traces",
        tmp_path,
        upstream_proxy=proxy_login,
        flush_interval=0.01,
        api_key=corpus.new(),  # no setting of ours: the start warns of it
    ) as process:
        call_from_every_place(process, upstream, corpus)
        for request in malformed(corpus):
            send_malformed(process.port, request)
        for page in PAGES:
            target = f"{page}?api-key={corpus.new_in_url()}"
            places[page] = exchange(process.port, Placed().request(target)).body
            get = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
            places[f"GET {page}"] = exchange(process.port, get).body
        crash_with_an_open_call(process, upstream, corpus)
    commands = [run("recover", "--trace-dir", process.trace_dir, cwd=tmp_path)]
    commands += [run("reduce", bundle, cwd=tmp_path) for bundle in process.bundles()]
    assert [command.returncode for command in commands] == [0] * len(commands)
    for command in commands:
        places[str(command.args)] = f"{command.stdout}{command.stderr}".encode()
    places |= files_in(tmp_path)
    assert any(name.endswith("state.json") for name in places)
    assert len(corpus.secrets) > len(PLACES) + len(malformed(Corpus()))
    assert_nowhere(corpus.secrets, places)


def test_no_secret_of_a_command_that_is_run(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """Neither of its arguments nor of its environment, whether it succeeds or fails."""
    corpus = Corpus()
    for ending in ("completed", "fails", "not found"):
        key, argument = corpus.new(), corpus.new_in_url()
        client = ["python3", "-c", CLIENT]
        if ending == "not found":
            client = ["no-such-command"]
        elif ending == "fails":
            upstream.enqueue(Reply(status=401, body=[key.encode()]))
        else:
            upstream.enqueue(stream_reply(BEGUN, echo(key)))
        ran = run(
            *("run", "--upstream", f"{upstream.url}/v1", "--", *client, "--key", argument),
            cwd=tmp_path,
            OPENAI_API_KEY=key,
        )
        assert (ran.returncode == 0) is (ending == "completed"), ran.stderr
        assert_nowhere(
            corpus.secrets,
            files_in(tmp_path) | {"stdout": ran.stdout.encode(), "stderr": ran.stderr.encode()},
        )


@pytest.mark.parametrize(
    "wrong",
    ["upstream", "upstream variable", "upstream of a client", "proxy", "unknown key", "no TOML"],
)
def test_no_secret_of_settings_that_are_refused(tmp_path: Path, wrong: str) -> None:
    """What is wrong is told, and where; a value that may hold a login is not."""
    corpus = Corpus()
    login = f"https://user:{corpus.new_in_url()}@h/v1"
    arguments: list[str] = ["serve", "--listen", "127.0.0.1:0"]
    variables: dict[str, str] = {}
    match wrong:
        case "upstream":
            arguments += ["--upstream", login]
        case "upstream variable":
            variables["TAILRACE_UPSTREAM"] = login
        case "upstream of a client":
            arguments, variables["OPENAI_BASE_URL"] = ["run", "--", "true"], login
        case "proxy":
            variables["TAILRACE_UPSTREAM_PROXY"] = login.replace("/v1", ":99999")
        case "unknown key":
            (tmp_path / "tailrace.toml").write_text(f'api_key = "{corpus.new()}"\n')
        case "no TOML":
            (tmp_path / "tailrace.toml").write_text(f"api_key = {corpus.new()}\n")
    ran = run(*arguments, cwd=tmp_path, **variables)
    assert ran.returncode in {2, 125}
    assert ran.stderr
    assert_nowhere(corpus.secrets, {"stdout": ran.stdout.encode(), "stderr": ran.stderr.encode()})
