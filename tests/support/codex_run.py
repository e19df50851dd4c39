"""Runs the real Codex CLI once against a base URL, with nothing of the user's own Codex."""

import os
import subprocess
from pathlib import Path

RUN_TIMEOUT_S = 50
KEY = "sk-codex-0123456789abcdef"

COMMON = """\
model = "gpt-5.5"
check_for_update_on_startup = false

[analytics]
enabled = false

"""

CUSTOM_PROVIDER = """\
[model_providers.scripted]
name = "scripted"
base_url = "{base_url}"
wire_api = "responses"
env_key = "SCRIPTED_KEY"
request_max_retries = 1
stream_max_retries = 1
supports_websockets = {supports_websockets}
"""


class CodexRun:
    """A CODEX_HOME and a working directory of their own; Codex's own trace goes to `trace_root`."""

    def __init__(self, codex: Path, directory: Path) -> None:
        self.trace_root = directory / "codex-traces"
        self._codex = codex
        self._home = directory / "codex-home"
        self._work = directory / "codex-work"
        for made in (self.trace_root, self._home, self._work):
            made.mkdir()

    def use_custom_provider(self, base_url: str, *, websockets: bool = False) -> None:
        """A provider of the user's own, which Codex calls over HTTP unless told otherwise."""
        provider = CUSTOM_PROVIDER.format(
            base_url=base_url, supports_websockets=str(websockets).lower()
        )
        self._configure('model_provider = "scripted"\n' + COMMON + provider)

    def use_openai_base_url(self, base_url: str) -> None:
        """The built-in provider at another URL, which Codex tries by WebSocket first."""
        self._configure(f'openai_base_url = "{base_url}"\n' + COMMON)

    def execute(self, prompt: str) -> subprocess.CompletedProcess[str]:
        """`codex exec PROMPT` to its end."""
        process = self.start(prompt)
        try:
            stdout, stderr = process.communicate(timeout=RUN_TIMEOUT_S)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def start(self, prompt: str) -> subprocess.Popen[str]:
        """`codex exec PROMPT`, to be ended and waited for by the caller."""
        command: list[str | Path] = [
            self._codex,
            "exec",
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
            "-C",
            self._work,
            prompt,
        ]
        return subprocess.Popen(
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def bundle(self) -> Path:
        """The one bundle that Codex wrote."""
        (bundle,) = self.trace_root.iterdir()
        return bundle

    def _configure(self, toml: str) -> None:
        (self._home / "config.toml").write_text(toml)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "CODEX_HOME": str(self._home),
            "CODEX_ROLLOUT_TRACE_ROOT": str(self.trace_root),
            "CODEX_API_KEY": KEY,
            "SCRIPTED_KEY": KEY,
            "NO_PROXY": "127.0.0.1,localhost",
        }
