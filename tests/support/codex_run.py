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
name = "{name}"
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

    def use_custom_provider(
        self,
        base_url: str,
        *,
        websockets: bool = False,
        name: str = "scripted",
        settings: str = "",
        tables: str = "",
    ) -> None:
        """A provider of the user's own, which Codex calls over HTTP unless told otherwise.

        `settings` and `tables` are more lines of its config.toml, for its head and for its end.
        """
        provider = CUSTOM_PROVIDER.format(
            base_url=base_url, supports_websockets=str(websockets).lower(), name=name
        )
        head = f'model_provider = "scripted"\n{settings}\n'
        self._configure(head + COMMON + provider + tables)

    def use_openai_base_url(self, base_url: str) -> None:
        """The built-in provider at another URL, which Codex tries by WebSocket first."""
        self._configure(f'openai_base_url = "{base_url}"\n' + COMMON)

    def execute(self, prompt: str, *, resume: bool = False) -> subprocess.CompletedProcess[str]:
        """`codex exec PROMPT` to its end, going on with the last session if asked to."""
        process = self.start(prompt, resume=resume)
        try:
            stdout, stderr = process.communicate(timeout=RUN_TIMEOUT_S)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def start(self, prompt: str, *, resume: bool = False) -> subprocess.Popen[str]:
        """`codex exec PROMPT`, to be ended and waited for by the caller."""
        command: list[str | Path] = [
            self._codex,
            "exec",
            "-C",
            self._work,
            *(("resume", "--last") if resume else ()),
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
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
        (bundle,) = self.bundles()
        return bundle

    def bundles(self) -> list[Path]:
        """The bundles that Codex wrote, one a run."""
        return list(self.trace_root.iterdir())

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
