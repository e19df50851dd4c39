"""The image, built from the Dockerfile as it stands, and a container of it, run for real."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from tests.support.events import sse, text_stream
from tests.support.raw_http import exchange, request_bytes
from tests.support.script import stream_reply
from tests.support.scripted_upstream import ScriptedUpstream

from .base_image import base_of, ensure_base
from .buildah import Buildah, require_tools
from .pip_config import build_volumes
from .sidecar import ImageConfig, Sidecar, run_healthcheck, start

REPO_ROOT = Path(__file__).resolve().parents[2]
WORK = REPO_ROOT / ".ci" / "cache" / "container"
IMAGE = "localhost/tailrace:test"
BUILD_TOOLS = ("cc", "gcc", "make", "hatchling", "ruff", "mypy", "pytest")

# Making the base image takes most of a minute, and the build downloads the dependencies.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The image, and the root file system of a container of it."""

    config: ImageConfig
    root: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A container that listens, its volume, and the upstream that it was told of."""

    sidecar: Sidecar
    port: int
    traces: Path
    upstream: ScriptedUpstream


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """The image of this checkout; its base is kept between runs."""
    require_tools()
    WORK.mkdir(mode=0o700, parents=True, exist_ok=True)
    buildah = Buildah(store=WORK / "store")
    ensure_base(buildah, base_of(REPO_ROOT / "Dockerfile"), WORK / "base")
    # Without `docker` as its format an image has no HEALTHCHECK.
    options = ["--format=docker", "--pull-never", *build_volumes(WORK)]
    buildah("build", *options, "--tag", IMAGE, REPO_ROOT)
    container = buildah("from", "--pull-never", IMAGE)
    try:
        yield Built(config=ImageConfig.of(buildah, IMAGE), root=Path(buildah("mount", container)))
    finally:
        buildah("rm", container)
        buildah("rmi", IMAGE)


@pytest.fixture
def running(built: Built, tmp_path: Path) -> Iterator[Running]:
    """A container of the image on a free port, with its root file system read-only."""
    traces = tmp_path / "traces"
    traces.mkdir(mode=0o700)
    user, _, group = built.config.user.partition(":")
    os.chown(traces, int(user), int(group))
    with ScriptedUpstream() as upstream:
        env = {"TAILRACE_LISTEN": "0.0.0.0:0", "TAILRACE_UPSTREAM": upstream.url}
        sidecar = start(built.config, built.root, traces, env)
        try:
            port = _port_in(sidecar.wait_for_line("listens on"))
            yield Running(sidecar=sidecar, port=port, traces=traces, upstream=upstream)
        finally:
            sidecar.kill()


def _port_in(line: str) -> int:
    found = re.search(r"http://[^/\s]+:(\d+)", line)
    assert found is not None, f"no address in {line!r}"
    return int(found[1])


def _call(running: Running) -> None:
    """One streamed call through the container, answered by the upstream."""
    stream = sse(*text_stream("Hello", " there"))
    running.upstream.enqueue(stream_reply(stream))
    url = f"http://127.0.0.1:{running.port}/v1/responses"
    headers = ((b"Content-Type", b"application/json"),)
    body = orjson.dumps({"model": "gpt-5.5", "input": "Hi", "stream": True})
    answer = exchange(running.port, request_bytes("POST", url, headers=headers, body=body))
    assert (answer.head.status, answer.body) == (200, stream)


def _events(traces: Path) -> list[str]:
    """The types of all events in the one bundle, in order."""
    (bundle,) = traces.glob("trace-*")
    lines = (bundle / "trace.jsonl").read_bytes().splitlines()
    return [orjson.loads(line)["payload"]["type"] for line in lines]


def test_image_says_how_it_is_run(built: Built) -> None:
    """An ordinary user, tailrace itself as PID 1, and a volume for the traces, which is used."""
    assert built.config.user.split(":")[0] not in {"", "0", "root"}
    assert (built.config.entrypoint, built.config.cmd) == (["tailrace"], ["serve"])
    assert built.config.volumes == [built.config.env["TAILRACE_TRACE_DIR"]]


def test_image_holds_no_build_tools(built: Built) -> None:
    """What built the wheel stays in the build stage, the checkout too."""
    found = [built.root / part / tool for part in _path(built) for tool in BUILD_TOOLS]
    assert [path for path in found if path.exists()] == []
    assert not (built.root / "build").exists()
    assert list((built.root / "opt/tailrace/lib").glob("*/site-packages/pip")) == []


def _path(built: Built) -> list[str]:
    return [part.lstrip("/") for part in built.config.env["PATH"].split(":")]


def test_healthcheck_tells_a_live_container_from_a_dead_one(built: Built, running: Running) -> None:
    """The image's HEALTHCHECK succeeds on the port listened on, and fails on one that is not."""
    listening = {"TAILRACE_LISTEN": f"0.0.0.0:{running.port}"}
    silent = {"TAILRACE_LISTEN": "0.0.0.0:1"}
    assert run_healthcheck(running.sidecar, built.config, listening) == 0
    assert run_healthcheck(running.sidecar, built.config, silent) == 1


def test_call_through_a_read_only_container_is_traced(built: Built, running: Running) -> None:
    """With nothing but the volume writable a call is relayed and traced, for its owner only."""
    mounts = Path(f"/proc/{running.sidecar.pid_1}/mountinfo").read_text().splitlines()
    (options,) = (line.split()[5] for line in mounts if line.split()[4] == "/")
    assert "ro" in options.split(",")

    _call(running)

    assert running.sidecar.stop() == 0
    assert "inference_completed" in _events(running.traces)
    written = list(running.traces.rglob("*"))
    owners = {f"{path.stat().st_uid}:{path.stat().st_gid}" for path in written}
    assert owners == {built.config.user}
    assert {path.stat().st_mode & 0o777 for path in written if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in written if path.is_dir()} == {0o700}


def test_sigterm_to_pid_1_closes_the_bundle(running: Running) -> None:
    """`docker stop` is a clean end: exit code 0, and the bundle has its last events."""
    _call(running)

    assert running.sidecar.stop() == 0
    ends = ["thread_ended", "rollout_ended", "recording_completed"]
    assert _events(running.traces)[-3:] == ends
