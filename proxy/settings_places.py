"""Where settings may stand beside flags; it is quick to load, which the settings are not."""

from collections.abc import Mapping
from pathlib import Path

CONFIG_NAME = "tailrace.toml"
"""The file that is read from the working directory where `--config` names none."""

VARIABLE_PREFIX = "TAILRACE_"


def are_flags_all(config: Path | None, environ: Mapping[str, str], cwd: Path) -> bool:
    """Whether flags and defaults are all there is: no file, and no variable with our prefix."""
    is_told = any(name.upper().startswith(VARIABLE_PREFIX) for name in environ)
    return config is None and not is_told and not (cwd / CONFIG_NAME).exists()
