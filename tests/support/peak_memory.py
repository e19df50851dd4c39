"""How much memory a process of ours has taken at most, as the kernel counts it."""

import re
from pathlib import Path

MIB = 1024 * 1024


def peak_bytes(pid: int) -> int:
    """The most memory that was resident at a time since `forget_peak`, or since the start."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def forget_peak(pid: int) -> int:
    """Begin to count anew (proc(5), clear_refs); gives what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_bytes(pid)
