"""Runs the openai SDK for Node over a WebSocket, in a process of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .codex_cli import REPO_ROOT

DRIVER = Path(__file__).with_suffix(".cjs")
RUN_TIMEOUT_S = 30

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the SDK told: the events, its errors' texts, and how the socket was closed."""

    events: list[Message]
    errors: list[str]
    close: dict[str, Any]


def require_node_modules() -> Path:
    """The directory with `openai` and `ws`, by TAILRACE_TEST_NODE_MODULES or ./node_modules.

    Without one, or without node, the test is skipped, or fails where CI is set.
    """
    modules = Path(os.environ.get("TAILRACE_TEST_NODE_MODULES") or REPO_ROOT / "node_modules")
    missing = [name for name in ("openai", "ws") if not (modules / name).is_dir()]
    if shutil.which("node") is None:
        missing.append("node")
    if not missing:
        return modules
    reason = f"no {', '.join(missing)} (TAILRACE_TEST_NODE_MODULES, node_modules, PATH)"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI must have it")
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class NodeSDK:
    """The SDK in a directory of node modules."""

    modules: Path

    def run(
        self, base_url: str, api_key: str, *batches: Sequence[Message], **options: object
    ) -> Told:
        """Send the batches on one socket, each after the responses to the one before, then close.

        `options` are those of the SDK's `ResponsesWS`.
        """
        order = {"baseURL": base_url, "apiKey": api_key, "batches": batches, "options": options}
        done = subprocess.run(
            ["node", DRIVER, json.dumps(order)],
            env={"PATH": os.environ["PATH"], "NODE_PATH": str(self.modules)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return Told(**json.loads(done.stdout))
