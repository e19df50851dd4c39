"""What it costs to reduce a large bundle: time and peak memory, for growing numbers of calls.

    python -m bench.bundles [CALLS ...]

Each call repeats its conversation: it grows by two items a call to 200, so that an input holds 100
on average. Eight conversations go on at once. Each size is reduced in a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CALLS = (1_000, 5_000, 20_000)
CALLS_PER_CONVERSATION = 100
AT_ONCE = 8
WORDS = "The tool printed what it had found, and nothing in it was new to the reader. "

Json = dict[str, object]

REDUCE = """
import json, resource, sys, time
from pathlib import Path
from reducer import state_stream
started = time.monotonic(), time.process_time()
with open(sys.argv[2], "wb") as file:
    file.writelines(state_stream(Path(sys.argv[1])))
print(json.dumps({
    "seconds": time.monotonic() - started[0],
    "cpu_seconds": time.process_time() - started[1],
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def items_of(conversation: int) -> Iterator[tuple[Json, list[Json]]]:
    """What each call of a conversation adds: an item that the client sends, then what comes."""
    for number in range(CALLS_PER_CONVERSATION):
        text = f"{conversation}/{number}: {WORDS * 3}"
        call_id = f"call_{conversation}_{number}"
        arguments = json.dumps({"path": f"/data/{number}", "why": text[:120]})
        if number % 2:
            yield (
                {"type": "function_call_output", "call_id": call_id, "output": text},
                [_message("assistant", "output_text", text)],
            )
        else:
            next_id = f"call_{conversation}_{number + 1}"
            call: Json = {"type": "function_call", "name": "read", "call_id": next_id}
            yield _message("user", "input_text", text), [{**call, "arguments": arguments}]


def _message(role: str, part: str, text: str) -> Json:
    return {"type": "message", "role": role, "content": [{"type": part, "text": text}]}


class Writer:
    """A bundle, written event by event."""

    def __init__(self, path: Path) -> None:
        (path / "payloads").mkdir(parents=True)
        self._path = path
        self._log = (path / "trace.jsonl").open("wb")
        self._seq = 0
        self._payloads = 0
        ids = {"trace_id": "trace-1", "root_thread_id": "thread:0"}
        shape = {"schema_version": 2, "rollout_id": "rollout-1", "started_at_unix_ms": 1}
        files = {"raw_event_log": "trace.jsonl", "payloads_dir": "payloads"}
        (path / "manifest.json").write_text(json.dumps({**ids, **shape, **files}))
        self.event("rollout_started", **ids)

    def event(self, kind: str, **fields: object) -> None:
        """Append an event."""
        self._seq += 1
        line = {
            "schema_version": 2,
            "seq": self._seq,
            "wall_time_unix_ms": self._seq,
            "rollout_id": "rollout-1",
            "thread_id": fields.get("thread_id"),
            "codex_turn_id": fields.get("codex_turn_id"),
            "payload": {"type": kind, **fields},
        }
        self._log.write(json.dumps(line).encode() + b"\n")

    def payload(self, kind: str, value: Json) -> Json:
        """Write a payload, and give what an event says of it."""
        self._payloads += 1
        name = f"payloads/{self._payloads}.json"
        (self._path / name).write_bytes(json.dumps(value).encode())
        return {
            "raw_payload_id": f"raw_payload:{self._payloads}",
            "kind": {"type": kind},
            "path": name,
        }

    def close(self) -> None:
        """End the log."""
        self.event("rollout_ended", status="completed")
        self.event("recording_completed")
        self._log.close()


def write_bundle(path: Path, call_count: int) -> None:
    """Write a bundle of this many calls."""
    writer = Writer(path)
    rounds = -(-call_count // (CALLS_PER_CONVERSATION * AT_ONCE))
    call = 0
    for first in range(0, rounds * AT_ONCE, AT_ONCE):
        threads = [f"thread:{first + lane}" for lane in range(AT_ONCE)]
        histories: list[list[Json]] = [[] for _ in threads]
        for thread in threads:
            writer.event("thread_started", thread_id=thread, agent_path="/root")
        courses = [items_of(first + lane) for lane in range(AT_ONCE)]
        for steps in zip(*courses, strict=True):
            for thread, history, (sent, said) in zip(threads, histories, steps, strict=True):
                if call == call_count:
                    break
                call += 1
                history.append(sent)
                _write_call(writer, thread, call, history, said)
                history += said
    writer.close()


def _write_call(
    writer: Writer, thread: str, call: int, history: list[Json], said: list[Json]
) -> None:
    turn: Json = {"codex_turn_id": f"turn:{call}", "thread_id": thread}
    writer.event("codex_turn_started", **turn)
    request = writer.payload("inference_request", {"model": "m", "stream": True, "input": history})
    model: Json = {"model": "m", "provider_name": "p", "request_payload": request}
    writer.event("inference_started", inference_call_id=f"call:{call}", **turn, **model)
    ids: Json = {"response_id": f"resp_{call}", "upstream_request_id": f"req_{call}"}
    response = writer.payload(
        "inference_response", {**ids, "token_usage": None, "output_items": said}
    )
    writer.event(
        "inference_completed", inference_call_id=f"call:{call}", **ids, response_payload=response
    )
    writer.event("codex_turn_ended", **turn, status="completed")


def main() -> None:
    """Measure each size and print a line for it."""
    sizes = [int(size) for size in sys.argv[1:]] or CALLS
    names = ("calls", "seconds", "CPU s", "ms a call", "peak MiB", "state MB")
    print(" ".join(f"{name:>9}" for name in names))
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as directory:
            bundle, state = Path(directory) / "bundle", Path(directory) / "state.json"
            write_bundle(bundle, size)
            done = subprocess.run(
                [sys.executable, "-c", REDUCE, bundle, state],
                cwd=Path(__file__).resolve().parents[1],
                env={**os.environ, "PYTHONHASHSEED": "0"},
                capture_output=True,
                check=True,
            )
            spent = json.loads(done.stdout)
            print(
                f"{size:>9} {spent['seconds']:>9.2f} {spent['cpu_seconds']:>9.2f}"
                f" {1000 * spent['cpu_seconds'] / size:>9.2f} {spent['peak_mib']:>9.0f}"
                f" {state.stat().st_size / 1e6:>9.1f}"
            )


if __name__ == "__main__":
    main()
