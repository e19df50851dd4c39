"""The settings of the proxy: one model, with each one's default, unit and reason.

It does not look for values: a `Settings` takes what it is given, and defaults for the rest, so
that no variable and no file reaches one by surprise. `settings_sources` finds them.
"""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from .addresses import host_and_port, http_url, is_same_place

MIB = 1024 * 1024

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,256}")  # what a URL and a cookie hold as it stands


def _nothing_if_empty(value: object) -> object:
    """`""` stands for none, since neither TOML nor an environment has a null."""
    return None if value == "" else value


def _split_at_commas(value: object) -> object:
    """A variable holds a list as `a.example,b.example`."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _expanded(value: object) -> object:
    if value == "":
        raise ValueError("a path is needed")
    if not isinstance(value, str | Path):
        return value
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("a path; no user is called as this one's ~ says") from None


class Settings(BaseSettings):
    """What shapes one run of the proxy. Bytes and seconds unless a description says otherwise."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    listen: str = Field(
        default="127.0.0.1:8787",
        description="HOST:PORT to listen on, [::1]:8787 for IPv6; port 0 takes any free one. "
        "Whoever can reach it can use the upstream through us and fill the disk, so loopback.",
    )
    upstream: str = Field(
        default="https://api.openai.com/v1",
        description="The base URL (http or https) that requests are sent on to, in place of /v1.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that share the port, each with bundles of its own; more than 1 need "
        "Linux. More than there are processor cores gain nothing, and each has the limits below to "
        "itself (but for those of kept bundles): 64 at most.",
    )
    trace_dir: Annotated[Path, BeforeValidator(_expanded)] = Field(
        default=Path("./traces"),
        description="The directory that bundles are written to; made when the first call comes.",
    )
    capture: Literal["full", "metadata", "off"] = Field(
        default="full",
        description='What is traced: "full" keeps prompts and outputs, "metadata" keeps no body '
        'and no capture of the stream, "off" writes nothing.',
    )
    on_disconnect: Literal["abort", "drain"] = Field(
        default="abort",
        description='When a client leaves before its response ended: "abort" closes the upstream '
        'connection, which ends generation (and its cost); "drain" reads the response to its end.',
    )
    websockets: bool = Field(
        default=True,
        description="Whether WebSockets are relayed. false declines them with 426, after which "
        "Codex uses HTTP.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)] = Field(
        default=(),
        description="Host names that clients may address us by, beside loopback and the listen "
        "address; others are refused, against DNS rebinding. A variable holds them with commas.",
    )
    upstream_proxy: Annotated[str | None, BeforeValidator(_nothing_if_empty)] = Field(
        default=None,
        repr=False,
        description="The URL of an HTTP proxy between us and upstream, credentials in it or not. "
        "Empty: none; HTTP_PROXY and its kin are not read.",
    )
    upstream_ca_file: Annotated[
        Path | None, BeforeValidator(_expanded), BeforeValidator(_nothing_if_empty)
    ] = Field(
        default=None,
        description="A PEM file of certificate authorities to trust for upstream, in place of the "
        "system's. Empty: the system's.",
    )
    view: bool = Field(
        default=False,
        description="Whether serve shows the traces as a page in the browser too, in a process of "
        "its own. false, since whoever reaches that page reads all prompts and outputs.",
    )
    view_listen: str = Field(
        default="127.0.0.1:8788",
        description="HOST:PORT that the page listens on, like listen; beyond loopback it asks for "
        "a token.",
    )
    view_token: Annotated[str | None, BeforeValidator(_nothing_if_empty)] = Field(
        default=None,
        repr=False,
        description="What the page asks for before it shows anything: 16 letters, digits or any of "
        "._~- or more. Empty: nothing on loopback; elsewhere a token that is made at each start.",
    )
    shutdown_grace: float = Field(
        default=8.0,
        ge=0,
        description="Seconds that open streams may go on after SIGTERM before they are cancelled: "
        "less than the ten after which `docker stop` kills.",
    )
    flush_interval: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Seconds between writes to the disk, so what a crash can lose; at most 1.",
    )
    durability: Literal["process", "power"] = Field(
        default="process",
        description='What the trace survives: "process" our own crash, "power" a loss of power as '
        "well. That waits for the disk's medium after each flush, some milliseconds of it a time.",
    )
    upstream_connect_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Seconds to connect to upstream, TLS included, before we answer 504.",
    )
    upstream_idle_timeout: float = Field(
        default=0.0,
        ge=0,
        description="Seconds that upstream may stay silent within a response, or take nothing of a "
        "request. 0: no limit, since models think for minutes and clients have timeouts of their "
        "own.",
    )
    header_bytes_max: int = Field(
        default=64 * 1024,
        gt=0,
        description="Bytes of a request's header block; above it we answer 431. OpenAI asks "
        "clients to stay under 64 KiB in all.",
    )
    event_bytes_max: int = Field(
        default=16 * MIB,
        gt=0,
        description="Bytes of one server-sent event that are read for tracing; of a larger one "
        "only its type is. A terminal event repeats the whole response, images included.",
    )
    request_bytes_max: int = Field(
        default=64 * MIB,
        gt=0,
        description="Bytes of a request body kept; a larger one is relayed but its payload is a "
        "stub. Upstream takes about 50 MB of files in a request.",
    )
    message_bytes_max: int = Field(
        default=64 * MIB,
        gt=0,
        description="Bytes of one WebSocket message that are read for tracing, inflated where it "
        "was compressed; a larger one is relayed and counted. As for request bodies.",
    )
    capture_bytes_max: int = Field(
        default=64 * MIB,
        gt=0,
        description="Bytes of a response kept for each call; the rest is relayed and counted. Long "
        "streams reach a few MiB: this is for what never ends.",
    )
    pending_bytes_max: int = Field(
        default=64 * MIB,
        gt=0,
        description="Bytes that may wait for a slow disk; beyond it payloads and capture are lost, "
        "and counted. It bounds our memory, whatever the disk does.",
    )
    bundle_bytes_max: int = Field(
        default=256 * MIB,
        gt=0,
        description="Bytes of a bundle, after which new calls go to a new one, so that each can be "
        "read, moved and deleted.",
    )
    bundle_age_max: float = Field(
        default=86_400.0,
        gt=0,
        description="Seconds after which new calls go to a new bundle: a day, for retention.",
    )
    kept_bytes_max: int = Field(
        default=10 * 1024 * MIB,
        ge=0,
        description="Bytes on disk of all bundles in the trace directory; above it those that were "
        "written longest ago are removed, but never one in use. A full disk would end tracing, and "
        "more than that. 0: no limit.",
    )
    kept_age_max: float = Field(
        default=0.0,
        ge=0,
        description="Seconds since a bundle was last written, after which it is removed. 0: no "
        "limit, since how long evidence is of use, or may be kept, is yours to say.",
    )
    decoded_bytes_max: int = Field(
        default=256 * MIB,
        gt=0,
        description="Bytes that the trace's copy of a compressed body may grow to; a bomb is "
        "relayed but not kept.",
    )
    connections_max: int = Field(
        default=4096,
        ge=0,
        description="Connections from clients at a time; one more is answered 503 and closed. "
        "0: no limit. Each may need two file descriptors, and 28 KiB while it streams.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description='Log lines below this are not written; "info" has one for each call.',
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (the hook's signature is pydantic's)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the same)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the same)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the same)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: `load_settings` merges the sources, to name the one at fault."""
        return (init_settings,)

    @property
    def listen_host(self) -> str:
        """The host to bind to, without brackets."""
        return host_and_port(self.listen)[0]

    @property
    def listen_port(self) -> int:
        """The port to bind to; 0 for any free one."""
        return host_and_port(self.listen)[1]

    @property
    def view_host(self) -> str:
        """The host that the page binds to, without brackets."""
        return host_and_port(self.view_listen)[0]

    @property
    def view_port(self) -> int:
        """The port that the page binds to; 0 for any free one."""
        return host_and_port(self.view_listen)[1]

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_switch(cls, value: object, info: ValidationInfo) -> object:
        """Two settings are switches; of the others pydantic would take `true` for the number 1."""
        if isinstance(value, bool) and info.field_name not in {"view", "websockets"}:
            raise ValueError("a value, not true or false")
        return value

    @field_validator("listen", "view_listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        host_and_port(value)
        return value

    @field_validator("view_token")
    @classmethod
    def _is_token(cls, value: str | None) -> str | None:
        if value is not None and not _TOKEN.fullmatch(value):
            raise ValueError("16 to 256 letters, digits or any of ._~-")
        return value

    @field_validator("upstream")
    @classmethod
    def _is_base_url(cls, value: str, info: ValidationInfo) -> str:
        parts = http_url(value)
        if parts.userinfo:
            raise ValueError("a URL without credentials: they come with each client's request")
        if parts.has_query_or_fragment:
            raise ValueError("a URL without query and fragment")
        listen = info.data.get("listen")
        if listen is not None and is_same_place((parts.host, parts.port), host_and_port(listen)):
            raise ValueError(f"not our own listen address ({listen}): it would call itself")
        return value.rstrip("/")

    @field_validator("upstream_proxy")
    @classmethod
    def _is_proxy_url(cls, value: str | None) -> str | None:
        if value is not None and http_url(value).has_query_or_fragment:
            raise ValueError("a URL without query and fragment")
        return value

    @field_validator("upstream_ca_file")
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("a file that exists")
        return value
