"""Hands this machine's way to its package index to a pip in a build, which sees none of it."""

import ast
import subprocess
import sys
from pathlib import Path

IN_IMAGE_CONFIG = "/etc/pip.conf"
IN_IMAGE_CA = "/etc/ssl/certs/ca-certificates.crt"

CARRIED = ("index-url", "extra-index-url", "trusted-host", "proxy")


def build_volumes(work: Path) -> list[str]:
    """`--volume` options for `buildah build`: pip's settings and authorities, while it builds."""
    found = _configured()
    lines = ["[global]"]
    # An index in this machine's file system is nothing to a build that does not see it.
    lines += [
        f"{key} = {found[key]}" for key in CARRIED if key in found and "file:" not in found[key]
    ]
    options = []
    if "cert" in found:
        lines.append(f"cert = {IN_IMAGE_CA}")
        options += ["--volume", f"{found['cert']}:{IN_IMAGE_CA}:ro"]
    config = work / "pip.conf"
    config.write_text("\n".join(lines) + "\n")
    return [*options, "--volume", f"{config}:{IN_IMAGE_CONFIG}:ro"]


def _configured() -> dict[str, str]:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    # A line reads `global.index-url='https://...'` or, from PIP_INDEX_URL, `:env:.index-url='...'`.
    pairs = (line.partition("=") for line in listed)
    return {
        key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, _, value in pairs if value
    }
