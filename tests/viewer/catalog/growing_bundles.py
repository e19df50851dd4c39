"""Bundles that tests let grow."""

from pathlib import Path

from tests.support.bundles import BundleBuilder, message


def a_bundle(trace_dir: Path, number: int = 1, *, calls: int = 1) -> BundleBuilder:
    """A bundle of calls that completed, not yet written."""
    builder = BundleBuilder(trace_dir / f"trace-{number}", trace_id=f"id-{number}")
    builder.turn("t")
    for call in range(calls):
        add_call(builder, f"c{number}.{call}")
    return builder


def add_call(builder: BundleBuilder, call: str) -> None:
    """A call that asks and is answered with words of its own."""
    word = call.replace(".", "of")
    builder.start(call, "t", [message("user", f"ask {word}")])
    said = [message("assistant", f"say {word}")]
    builder.complete(call, said, response_id=f"resp {call}", upstream_request_id=f"req {call}")


def append(builder: BundleBuilder) -> None:
    """Put on disk what a bundle gained, as its writer does: payloads first, and no new log."""
    log = builder.path / "trace.jsonl"
    for name, data in builder.files.items():
        (builder.path / name).write_bytes(data)
    with log.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in builder.lines)[file.tell() :])
