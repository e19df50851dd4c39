"""Where settings come from: flags before variables, these before a TOML file, then defaults."""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from .settings import Settings
from .settings_places import CONFIG_NAME, VARIABLE_PREFIX


class SettingsError(Exception):
    """Settings that cannot be used: one plain message for each problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Settings from one source, and what that source calls the setting of a given name."""

    values: Mapping[str, object]
    name_of: Callable[[str], str]


def load_settings(
    flags: Mapping[str, object],
    config: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    fallback: Layer | None = None,
) -> Settings:
    """Find the settings: flags, then variables, then the file, then `fallback`, then defaults.

    `flags` are by setting name; None is a flag not given. `config` is the TOML file; without it
    `tailrace.toml` in `cwd` is read if it is there. Raises SettingsError, naming every problem.
    """
    layers = [
        Layer(values={k: v for k, v in flags.items() if v is not None}, name_of=flag_name),
        Layer(values=_from_variables(environ), name_of=variable_name),
        _from_file(config, cwd or Path.cwd()),
    ]
    if fallback is not None:
        layers.append(fallback)
    values: dict[str, object] = {}
    source: dict[str, Layer] = {}
    for layer in reversed(layers):
        values |= layer.values
        source |= dict.fromkeys(layer.values, layer)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = [_problem(detail, values, source) for detail in error.errors()]
        raise SettingsError(problems) from None


def settings_warnings(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """A line for each `TAILRACE_*` variable that no setting is called by, which is ignored.

    No error, since Kubernetes sets such names (TAILRACE_PORT) for a service called tailrace.
    """
    return tuple(
        f"{variable!r} is the name of no setting, so it is ignored{_meant(name, variable_name)}"
        for variable in sorted(environ)
        if variable.upper().startswith(VARIABLE_PREFIX)
        and (name := variable[len(VARIABLE_PREFIX) :].lower()) not in Settings.model_fields
    )


def flag_name(name: str) -> str:
    """The flag that sets the setting `name`."""
    # `view` has one place to listen on, as `serve` has.
    return "--listen" if name == "view_listen" else "--" + name.replace("_", "-")


def variable_name(name: str) -> str:
    """The environment variable that sets the setting `name`."""
    return VARIABLE_PREFIX + name.upper()


def _from_variables(environ: Mapping[str, str]) -> dict[str, object]:
    source = EnvSettingsSource(Settings, env_prefix=VARIABLE_PREFIX)
    source.env_vars = {name.lower(): value for name, value in environ.items()}
    return source()


def _from_file(config: Path | None, cwd: Path) -> Layer:
    """The file's settings; none of them if no file was asked for and the usual one is not there."""
    path = cwd / (config or CONFIG_NAME)
    if config is None and not path.exists():
        return Layer(values={}, name_of=str)
    shown = str(config or CONFIG_NAME)
    if not path.is_file():
        raise SettingsError([f"--config: {shown!r}: a file that exists is needed"])
    try:
        values = TomlConfigSettingsSource(Settings, toml_file=path).toml_data
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{shown}: not TOML: {error}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{shown}: not TOML: it is not UTF-8"]) from None
    except OSError as error:
        raise SettingsError([f"{shown}: cannot be read: {error.strerror}"]) from None
    return Layer(values=values, name_of=lambda name: f"{shown}: {name}")


def _problem(
    detail: ErrorDetails, values: Mapping[str, object], source: Mapping[str, Layer]
) -> str:
    """What is wrong, in one line: where it was set, the value, and what is allowed."""
    name = str(detail["loc"][0])
    if name not in source:
        return f"{name}: {_allowed(detail)}"
    where = source[name].name_of(name)
    if detail["type"] == "extra_forbidden":
        return f"{where}: no setting is called that{_meant(name)}"
    shown = "[redacted]" if name == "view_token" else _shown(values[name])
    return f"{where} = {shown}: allowed is {_allowed(detail)}"


def _allowed(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return detail["msg"].removeprefix("Input should be ")


def _meant(name: str, name_of: Callable[[str], str] = str) -> str:
    close = difflib.get_close_matches(name, Settings.model_fields, n=1)
    return f" (did you mean {name_of(close[0])}?)" if close else ""


def _shown(value: object) -> str:
    """A value as a message may show it: no credentials, no control characters, not too long."""
    if not isinstance(value, str):
        return repr(value)[:200]
    without_user = re.sub(r".*@", "[redacted]@", value, flags=re.DOTALL)
    return repr(re.sub(r"[?#].*", "?[redacted]", without_user, flags=re.DOTALL)[:200])
