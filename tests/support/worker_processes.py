"""The processes of a `tailrace serve` with workers, as Linux tells of them."""

import os
import re
import signal
from pathlib import Path

import orjson

from .raw_http import RawConnection
from .serve_process import ServeProcess
from .waiting import wait_until


def workers(process: ServeProcess) -> set[int]:
    """The ids of the processes that the parent has now."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return {int(pid) for pid in path.read_text().split()}


def settled_workers(process: ServeProcess, count: int) -> set[int]:
    """The workers, once there are so many and nothing beside them (which seals, say)."""
    wait_until(lambda: len(workers(process)) == count, f"{count} workers")
    return workers(process)


def worker_of(connection: RawConnection, among: set[int]) -> int:
    """The worker that has taken this connection, once one has."""
    peer, own = connection.socket.getpeername()[1], connection.socket.getsockname()[1]
    owner: list[int] = []

    def is_taken() -> bool:
        inode = _socket_inode(local=peer, remote=own)
        owner[:] = [pid for pid in among if inode and inode in _socket_inodes(pid)]
        return bool(owner)

    wait_until(is_taken, "the connection is taken by a worker")
    return owner[0]


def is_running(pid: int) -> bool:
    """Whether a process has not ended yet; one that nobody has waited for has."""
    return Path(f"/proc/{pid}/exe").exists()


def kill(pid: int) -> None:
    """SIGKILL, as a crash."""
    os.kill(pid, signal.SIGKILL)


def begun_bundles(process: ServeProcess) -> list[Path]:
    """The bundles that can be read by now, oldest first: the manifest is what makes one."""
    return sorted(path.parent for path in process.trace_dir.glob("trace-*/manifest.json"))


def bundles_by_writer(process: ServeProcess) -> dict[int, Path]:
    """Each bundle by the process that wrote it; every process has one at most."""
    by_writer: dict[int, Path] = {}
    for bundle in begun_bundles(process):
        pid = orjson.loads((bundle / "manifest.json").read_bytes())["producer"]["pid"]
        assert pid not in by_writer
        by_writer[pid] = bundle
    return by_writer


def log_lines(process: ServeProcess, event: str) -> list[dict[str, object]]:
    """The log's whole lines of this event so far."""
    lines = process.log_path.read_bytes().split(b"\n")[:-1]
    parsed = [orjson.loads(line) for line in lines if line.startswith(b"{")]
    return [line for line in parsed if line["event"] == event]


def _socket_inode(*, local: int, remote: int) -> str | None:
    """The inode of the established IPv4 connection between these ports, if it was accepted."""
    pattern = rf"^ *\d+: \w+:{local:04X} \w+:{remote:04X} 01 (?:\S+ +){{5}}(\d+)"
    found = re.search(pattern, Path("/proc/net/tcp").read_text(), flags=re.MULTILINE)
    return found[1] if found and found[1] != "0" else None


def _socket_inodes(pid: int) -> set[str]:
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            inodes.add(target[len("socket:[") : -1])
    return inodes
