"""Runs Debian's `buildah` with a store of its own: no daemon, no registry, chroot isolation."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TOOLS = ("buildah", "debootstrap", "unshare", "nsenter", "chroot")

# A build downloads the dependencies; whatever takes longer than this hangs.
COMMAND_TIMEOUT_S = 600


def require_tools() -> None:
    """What the image is built and run with; without it the test is skipped, or fails in CI."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    reason = f"no {', '.join(missing)} (Debian packages)" if missing else ""
    if os.geteuid() != 0:
        reason = "building and running the image takes root"
    if not reason:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI must have it")
    pytest.skip(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildah:
    """The command with its images and containers under `store`."""

    store: Path

    def __call__(self, *args: str | Path) -> str:
        """What the command printed.

        Raises:
            AssertionError: it failed; with all that it said.
        """
        done = subprocess.run(
            ["buildah", *self._storage(), *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, f"buildah {args[0]} failed ({done.returncode}):\n{said}"
        return done.stdout.strip()

    def has_image(self, tag: str) -> bool:
        """Whether the store holds the image, with no registry asked."""
        images: list[dict[str, list[str] | None]] = json.loads(self("images", "--json"))
        return any(tag in (image.get("names") or ()) for image in images)

    def _storage(self) -> list[str]:
        return [
            *("--root", str(self.store / "images")),
            *("--runroot", str(self.store / "run")),
            *("--storage-driver", "vfs"),
        ]
