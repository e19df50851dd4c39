"""Trace directories of every kind that somebody may have, and one that is being written."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from tracing.recovery import recover
from tracing.terminal import TransportEnd

from . import events as wire
from .codex_cli import require_codex
from .codex_model import CodexModel
from .codex_run import CodexRun
from .harmed_bundle import CAPTURE, LOG, edit_file, lines_of
from .killed_recorder import AUTH, BEGUN, BODY, KEY, WHOLE
from .raw_http import exchange, request_bytes
from .recording import answer, only_bundle, recording
from .running_proxy import RunningProxy
from .script import GUARD_S, Gate, stream_reply
from .scripted_upstream import ScriptedUpstream
from .serve_process import REPO_ROOT
from .waiting import wait_until

SECRETS = (KEY, "what lies beside the traces")
"""The key that calls were made with, and what a file holds that no bundle may make anybody read."""

STEERS = "\x1b[2J\x1b]0;owned\x07\x9b2J\u202egpj.exe\u2066"
"""What no terminal may be sent."""

Maker = Callable[[Path], None]


def record(trace_dir: Path, *, keep_bodies: bool = True) -> Path:
    """A closed bundle: three calls, of which one completed, one failed, and one was cancelled.

    A key was sent with each, and an answer repeats it; the last call would steer a terminal.
    """
    with recording(trace_dir, keep_bodies=keep_bodies) as made:
        answer(made.ask(BODY, headers=AUTH), [wire.sse(*WHOLE)])
        made.clock.advance(1000)
        chained = BODY | {"previous_response_id": "resp_1", "input": f"Go on, {STEERS}"}
        answer(made.ask(chained, headers=AUTH), [b'{"error":{"message":"no"}}'], status=500)
        made.clock.advance(1000)
        begun = wire.sse_pieces(*BEGUN, wire.ev_text_delta(STEERS, "msg_1", 1))
        answer(made.ask(chained, headers=AUTH), begun, end=TransportEnd.CLIENT_CLOSED)
        return only_bundle(made.close())


def _missing(trace_dir: Path) -> None:
    """Not even made."""


def _empty(trace_dir: Path) -> None:
    trace_dir.mkdir()


def _no_directory(trace_dir: Path) -> None:
    trace_dir.write_text("a file")


def _closed(trace_dir: Path) -> None:
    record(trace_dir)


def _without_capture(trace_dir: Path) -> None:
    record(trace_dir, keep_bodies=False)


def _with_an_index_that_cannot_be_written(trace_dir: Path) -> None:
    record(trace_dir)
    # As good as a disk that is read-only, also for root.
    (trace_dir / ".catalog.lock").mkdir()


def _torn(trace_dir: Path) -> None:
    edit_file(record(trace_dir) / LOG, lambda log: log[:-20])


def _scrambled(trace_dir: Path) -> None:
    bundle = record(trace_dir)
    ended = max(
        number
        for number, line in enumerate(lines_of(bundle))
        if line["payload"]["type"] == "inference_cancelled"
    )

    def scramble(log: bytes) -> bytes:
        lines = log.splitlines(keepends=True)
        lines[ended] = b'{"\xff\x00' + lines[ended][4:]
        return b"".join(lines)

    edit_file(bundle / LOG, scramble)


def _without_manifest(trace_dir: Path) -> None:
    (record(trace_dir) / "manifest.json").unlink()


def _without_log(trace_dir: Path) -> None:
    (record(trace_dir) / LOG).unlink()


def _with_an_empty_log(trace_dir: Path) -> None:
    (record(trace_dir) / LOG).write_bytes(b"")


def _with_a_log_that_blocks(trace_dir: Path) -> None:
    log = record(trace_dir) / LOG
    log.unlink()
    os.mkfifo(log)


def _last_payloads(trace_dir: Path) -> list[Path]:
    """The request's and the response's of the last call."""
    payloads = record(trace_dir) / "payloads"
    return sorted(payloads.iterdir(), key=lambda path: int(path.stem))[-2:]


def _without_payloads(trace_dir: Path) -> None:
    for payload in _last_payloads(trace_dir):
        payload.unlink()


def _with_payloads_that_are_no_json(trace_dir: Path) -> None:
    for payload in _last_payloads(trace_dir):
        payload.write_bytes(b'{"input": [\xff')


def _with_payloads_that_block(trace_dir: Path) -> None:
    for payload in _last_payloads(trace_dir):
        payload.unlink()
        os.mkfifo(payload)


def _with_payloads_that_lead_out(trace_dir: Path) -> None:
    beside = trace_dir.parent / "beside.json"
    beside.write_text(f'{{"input": "{SECRETS[1]}", "output_items": ["{SECRETS[1]}"]}}')
    for payload in _last_payloads(trace_dir):
        payload.unlink()
        payload.symlink_to(beside)


def _with_a_capture_that_blocks(trace_dir: Path) -> None:
    capture = record(trace_dir) / CAPTURE
    capture.unlink()
    os.mkfifo(capture)


def _with_a_capture_that_leads_out(trace_dir: Path) -> None:
    capture = record(trace_dir) / CAPTURE
    beside = trace_dir.parent / "beside.cap"
    beside.write_bytes(capture.read_bytes().replace(b"Done", SECRETS[1].encode()))
    capture.unlink()
    capture.symlink_to(beside)


def _with_a_log_that_leads_out(trace_dir: Path) -> None:
    log = record(trace_dir) / LOG
    beside = trace_dir.parent / "beside.jsonl"
    beside.write_bytes(log.read_bytes().replace(b"gpt-5.5", SECRETS[1].encode()))
    log.unlink()
    log.symlink_to(beside)


def _without_a_capture(trace_dir: Path) -> None:
    (record(trace_dir) / CAPTURE).unlink()


def _with_a_capture_cut_short(trace_dir: Path) -> None:
    edit_file(record(trace_dir) / CAPTURE, lambda capture: capture[: len(capture) // 2])


def _with_a_capture_of_noise(trace_dir: Path) -> None:
    edit_file(record(trace_dir) / CAPTURE, lambda capture: b"\xff" * len(capture))


def _dead(trace_dir: Path) -> None:
    """A recorder that was killed amid a call."""
    killed_recorder = [sys.executable, "-m", "tests.support.killed_recorder", str(trace_dir)]
    with subprocess.Popen(
        killed_recorder, cwd=REPO_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"recorded\n"
        process.kill()


def _sealed(trace_dir: Path) -> None:
    """The same, as the next `serve` leaves it."""
    _dead(trace_dir)
    recover(trace_dir)


def _of_two_workers(trace_dir: Path) -> None:
    """Two proxies at once, one directory: the second call goes on from the first one's."""
    with ScriptedUpstream() as upstream:
        first = RunningProxy(f"{upstream.url}/v1", trace_dir)
        second = RunningProxy(f"{upstream.url}/v1", trace_dir)
        with first, second:
            for number, proxy in enumerate((first, second), start=1):
                stream = wire.text_stream("Hel", "lo", response_id=f"resp_{number}")
                pieces = wire.sse_pieces(*stream)
                upstream.enqueue(stream_reply(*pieces, request_id=f"req_{number}"))
                chained = {"previous_response_id": "resp_1"} if number == 2 else {}
                exchange(proxy.port, _request(proxy, **chained))


def _request(proxy: RunningProxy, **fields: str) -> bytes:
    body = orjson.dumps(BODY | fields)
    return request_bytes("POST", f"{proxy.base_url}/responses", headers=AUTH, body=body)


def _by_codex(trace_dir: Path) -> None:
    """Codex itself, with a tool that it calls."""

    def answered(_: object, before: int) -> list[wire.Item]:
        if before:
            return [wire.message_item("Done.")]
        return [wire.function_call_item("exec_command", {"cmd": "echo hi"}, call_id="c1")]

    trace_dir.mkdir()
    codex = CodexRun(require_codex(), trace_dir.parent)
    with CodexModel(answered) as model:
        codex.use_custom_provider(model.base_url)
        assert codex.execute("Go.").returncode == 0
    codex.bundle().rename(trace_dir / codex.bundle().name)


@contextmanager
def live(trace_dir: Path) -> Iterator[None]:
    """A proxy at work: a call that ended, and one that streams for as long as the block lasts."""
    gate = Gate()
    with ScriptedUpstream() as upstream, RunningProxy(f"{upstream.url}/v1", trace_dir) as proxy:
        upstream.enqueue(stream_reply(*wire.sse_pieces(*WHOLE), request_id="req_1"))
        exchange(proxy.port, _request(proxy))
        begun = wire.sse(*BEGUN)
        upstream.enqueue(stream_reply(begun, gate, *wire.sse_pieces(*WHOLE), request_id="req_2"))
        asked = _request(proxy, previous_response_id="resp_1")
        client = threading.Thread(target=exchange, args=(proxy.port, asked))
        client.start()
        try:
            wait_until(lambda: b"resp_2" in _captured(trace_dir), "the stream's beginning on disk")
            yield
        finally:
            gate.open()
            client.join(GUARD_S)


def _captured(trace_dir: Path) -> bytes:
    return b"".join(path.read_bytes() for path in trace_dir.glob(f"trace-*/{CAPTURE}"))


MAKERS: dict[str, Maker] = {
    "missing": _missing,
    "empty": _empty,
    "a file": _no_directory,
    "closed": _closed,
    "metadata": _without_capture,
    "read-only": _with_an_index_that_cannot_be_written,
    "torn": _torn,
    "scrambled": _scrambled,
    "no manifest": _without_manifest,
    "no log": _without_log,
    "empty log": _with_an_empty_log,
    "log blocks": _with_a_log_that_blocks,
    "no payloads": _without_payloads,
    "payloads no JSON": _with_payloads_that_are_no_json,
    "payloads block": _with_payloads_that_block,
    "payloads lead out": _with_payloads_that_lead_out,
    "no capture": _without_a_capture,
    "capture blocks": _with_a_capture_that_blocks,
    "capture leads out": _with_a_capture_that_leads_out,
    "log leads out": _with_a_log_that_leads_out,
    "capture cut": _with_a_capture_cut_short,
    "capture noise": _with_a_capture_of_noise,
    "dead": _dead,
    "sealed": _sealed,
    "two workers": _of_two_workers,
    "Codex's": _by_codex,
}
