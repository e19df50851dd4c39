"""Settings: where they come from, what is refused, and how a refusal reads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.settings import Settings
from proxy.settings_sources import (
    Layer,
    SettingsError,
    load_settings,
    settings_warnings,
    variable_name,
)


def problems(
    tmp_path: Path,
    *,
    flags: dict[str, object] | None = None,
    environ: dict[str, str] | None = None,
    toml: str = "",
) -> tuple[str, ...]:
    """What is wrong with these settings."""
    (tmp_path / "tailrace.toml").write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load_settings(flags or {}, environ=environ or {}, cwd=tmp_path)
    return caught.value.problems


def test_flags_come_before_variables_before_the_file_before_defaults(tmp_path: Path) -> None:
    """Each source covers those after it, setting by setting."""
    (tmp_path / "tailrace.toml").write_text(
        'listen = "127.0.0.1:1"\nupstream = "http://file.example"\ntrace_dir = "file"\n'
    )
    environ = {"TAILRACE_LISTEN": "127.0.0.1:2", "TAILRACE_UPSTREAM": "http://variable.example"}
    settings = load_settings({"listen": "127.0.0.1:3"}, environ=environ, cwd=tmp_path)
    assert settings.listen == "127.0.0.1:3"
    assert settings.upstream == "http://variable.example"
    assert settings.trace_dir == Path("file")
    assert settings.capture == "full"


def test_a_flag_not_given_covers_nothing(tmp_path: Path) -> None:
    """None is what the command line hands over for a flag that nobody typed."""
    environ = {"TAILRACE_LISTEN": "127.0.0.1:2"}
    settings = load_settings({"listen": None}, environ=environ, cwd=tmp_path)
    assert settings.listen == "127.0.0.1:2"


def test_a_fallback_covers_only_defaults(tmp_path: Path) -> None:
    """`tailrace run` takes OPENAI_BASE_URL as upstream where nothing else says one."""
    fallback = Layer(values={"upstream": "http://b.example"}, name_of=lambda _: "OPENAI_BASE_URL")
    alone = load_settings({}, environ={}, cwd=tmp_path, fallback=fallback)
    assert alone.upstream == "http://b.example"
    environ = {"TAILRACE_UPSTREAM": "http://a.example"}
    covered = load_settings({}, environ=environ, cwd=tmp_path, fallback=fallback)
    assert covered.upstream == "http://a.example"


def test_a_bad_fallback_is_named_as_its_source(tmp_path: Path) -> None:
    """The message says OPENAI_BASE_URL, which the user set, and not upstream."""
    fallback = Layer(values={"upstream": "b.example"}, name_of=lambda _: "OPENAI_BASE_URL")
    with pytest.raises(SettingsError, match=r"^OPENAI_BASE_URL = 'b\.example'"):
        load_settings({}, environ={}, cwd=tmp_path, fallback=fallback)


def test_a_settings_made_directly_reads_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `load_settings` looks around, so that code and tests get what they ask for."""
    monkeypatch.setenv("TAILRACE_CAPTURE", "off")
    monkeypatch.setenv("CAPTURE", "off")
    assert Settings().capture == "full"


def test_settings_cannot_be_changed() -> None:
    """They are shared by everything that runs."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().capture = "off"


def test_a_file_that_was_named_is_read_in_place_of_the_usual_one(tmp_path: Path) -> None:
    """`--config F` replaces ./tailrace.toml, it does not add to it."""
    (tmp_path / "tailrace.toml").write_text('capture = "off"')
    (tmp_path / "other.toml").write_text('on_disconnect = "drain"')
    settings = load_settings({}, Path("other.toml"), environ={}, cwd=tmp_path)
    assert (settings.capture, settings.on_disconnect) == ("full", "drain")


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    """Starting with defaults instead could send traffic to the wrong upstream."""
    with pytest.raises(SettingsError, match=r"^--config: 'no\.toml': a file that exists"):
        load_settings({}, Path("no.toml"), environ={}, cwd=tmp_path)


@pytest.mark.parametrize("content", [b"listen = ", b"listen = '\xff'"])
def test_a_file_that_is_no_toml_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    """Bad syntax and bad UTF-8 alike."""
    (tmp_path / "tailrace.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"^tailrace\.toml: not TOML: "):
        load_settings({}, environ={}, cwd=tmp_path)


def test_an_unknown_key_is_named_with_the_likely_one(tmp_path: Path) -> None:
    """A typing error in the file is no setting that silently does nothing."""
    assert problems(tmp_path, toml='upstrem = "http://a.example"') == (
        "tailrace.toml: upstrem: no setting is called that (did you mean upstream?)",
    )
    assert problems(tmp_path, toml="[zzzzzz]") == (
        "tailrace.toml: zzzzzz: no setting is called that",
    )


def test_an_unknown_variable_is_only_a_warning(tmp_path: Path) -> None:
    """Kubernetes sets TAILRACE_PORT and such for a service called tailrace."""
    environ = {"TAILRACE_PORT": "tcp://10.0.0.1:8787", "TAILRACE_LISTN": "x", "HOME": "/"}
    assert load_settings({}, environ=environ, cwd=tmp_path) == Settings()
    assert settings_warnings(environ) == (
        (
            "'TAILRACE_LISTN' is the name of no setting, so it is ignored "
            "(did you mean TAILRACE_LISTEN?)"
        ),
        "'TAILRACE_PORT' is the name of no setting, so it is ignored",
    )


def test_no_setting_has_a_name_that_kubernetes_sets() -> None:
    """For a service called tailrace it sets TAILRACE_PORT* and TAILRACE_SERVICE_*."""
    assert not [n for n in Settings.model_fields if n == "port" or n.startswith("service_")]


def test_every_problem_is_told_at_once_with_where_it_came_from(tmp_path: Path) -> None:
    """Where it was set, the value, and what is allowed, for each."""
    assert problems(
        tmp_path,
        flags={"listen": "8787"},
        environ={"TAILRACE_CAPTURE": "ful"},
        toml="flush_interval = 2\nconnections_max = 'many'",
    ) == (
        (
            "--listen = '8787': allowed is HOST:PORT, such as 127.0.0.1:8787 or [::1]:8787; "
            "port 0 takes any free one"
        ),
        "TAILRACE_CAPTURE = 'ful': allowed is 'full', 'metadata' or 'off'",
        "tailrace.toml: flush_interval = 2: allowed is less than or equal to 1",
        (
            "tailrace.toml: connections_max = 'many': allowed is a valid integer, "
            "unable to parse string as an integer"
        ),
    )


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:8787", "127.0.0.1", 8787),
        ("[::1]:0", "::1", 0),
        ("localhost:65535", "localhost", 65535),
        ("0.0.0.0:80", "0.0.0.0", 80),
    ],
)
def test_a_listen_address_is_taken_apart(listen: str, host: str, port: int) -> None:
    """Brackets are for IPv6, and not part of the host."""
    settings = Settings(listen=listen)
    assert (settings.listen_host, settings.listen_port) == (host, port)


@pytest.mark.parametrize(
    "listen",
    ["", "8787", ":8787", "::1:8787", "[::1]", "[1.2]:1", "a:b", "a:65536", "a b:1", "a:1\n"],
)
def test_what_is_no_listen_address_is_refused(listen: str) -> None:
    """An empty host would mean every interface, which must be said: 0.0.0.0."""
    with pytest.raises(ValueError, match="HOST:PORT"):
        Settings(listen=listen)


@pytest.mark.parametrize(
    "upstream",
    [
        "",
        "api.openai.com",
        "ftp://a.example",
        "http://",
        "http://a.example:99999",
        "http://[::1",
        "http://a b.example",
        "http://a..example",
        f"http://{'a' * 64}.example",
        "http://a.example/\r\nx: y",
        "http://user:secret@a.example/v1",
        "http://user:secret/secret@a.example/v1",
        "user:secret@a.example",
        "http://a.example/v1?key=secret",
        "http://a.example/v1#secret",
    ],
)
def test_what_is_no_base_url_is_refused_and_no_secret_in_it_shown(
    tmp_path: Path, upstream: str
) -> None:
    """Paths are appended to it byte for byte, so it must end where they can begin."""
    (problem,) = problems(tmp_path, environ={"TAILRACE_UPSTREAM": upstream})
    assert problem.startswith("TAILRACE_UPSTREAM = ")
    assert "secret" not in problem
    assert problem.isprintable()


def test_a_base_url_loses_its_last_slash() -> None:
    """Requests bring their own."""
    assert Settings(upstream="http://a.example/v1/").upstream == "http://a.example/v1"


@pytest.mark.parametrize(
    ("listen", "upstream"),
    [
        ("127.0.0.1:8787", "http://127.0.0.1:8787/v1"),
        ("127.0.0.1:8787", "http://LOCALHOST:8787"),
        ("127.0.0.1:8787", "http://localhost.:8787"),
        ("0.0.0.0:8787", "http://127.0.0.1:8787"),
        ("[::]:443", "https://[::1]"),
        ("127.0.0.1:80", "http://127.0.0.2"),
        ("proxy.example:80", "http://proxy.example"),
    ],
)
def test_an_upstream_that_is_ourselves_is_refused(listen: str, upstream: str) -> None:
    """Every call would come back as another one, for ever."""
    with pytest.raises(ValueError, match="our own listen address"):
        Settings(listen=listen, upstream=upstream)


@pytest.mark.parametrize(
    ("listen", "upstream"),
    [
        ("127.0.0.1:8787", "http://127.0.0.1:8788"),
        ("127.0.0.1:443", "https://api.openai.com"),
        ("127.0.0.1:0", "http://127.0.0.1:8787"),
    ],
)
def test_an_upstream_elsewhere_is_taken(listen: str, upstream: str) -> None:
    """Another port or another host is another server."""
    assert Settings(listen=listen, upstream=upstream).upstream == upstream


def test_an_empty_value_means_none_where_none_is_possible(tmp_path: Path) -> None:
    """Neither TOML nor an environment can say null."""
    environ = {"TAILRACE_UPSTREAM_PROXY": "", "TAILRACE_UPSTREAM_CA_FILE": ""}
    settings = load_settings({}, environ=environ, cwd=tmp_path)
    assert (settings.upstream_proxy, settings.upstream_ca_file) == (None, None)


def test_the_credentials_of_a_proxy_are_taken_but_not_shown() -> None:
    """Proxies ask for them in the URL; logs may print the settings."""
    settings = Settings(upstream_proxy="http://user:secret@proxy.example:3128")
    assert settings.upstream_proxy == "http://user:secret@proxy.example:3128"
    assert "secret" not in repr(settings)


def test_a_ca_file_must_be_there(tmp_path: Path) -> None:
    """Else the first call would be the one to find out."""
    (problem,) = problems(tmp_path, environ={"TAILRACE_UPSTREAM_CA_FILE": "/no/such.pem"})
    assert problem == "TAILRACE_UPSTREAM_CA_FILE = '/no/such.pem': allowed is a file that exists"
    (tmp_path / "ca.pem").touch()
    assert Settings(upstream_ca_file=tmp_path / "ca.pem").upstream_ca_file == tmp_path / "ca.pem"


def test_allowed_hosts_stand_between_commas_in_a_variable(tmp_path: Path) -> None:
    """And in a list in the file."""
    environ = {"TAILRACE_ALLOWED_HOSTS": "a.example, b.example,"}
    settings = load_settings({}, environ=environ, cwd=tmp_path)
    assert settings.allowed_hosts == ("a.example", "b.example")
    (tmp_path / "tailrace.toml").write_text('allowed_hosts = ["c.example"]')
    assert load_settings({}, environ={}, cwd=tmp_path).allowed_hosts == ("c.example",)


def test_a_trace_dir_in_a_file_may_start_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell expands it there, and nobody wants a directory called ~."""
    monkeypatch.setenv("HOME", "/home/ada")
    (tmp_path / "tailrace.toml").write_text('trace_dir = "~/traces"')
    settings = load_settings({}, environ={}, cwd=tmp_path)
    assert settings.trace_dir == Path("/home/ada/traces")


@pytest.mark.parametrize(
    "line",
    [
        "shutdown_grace = -1",
        "shutdown_grace = true",
        "flush_interval = 0",
        "shutdown_grace = nan",
        "shutdown_grace = inf",
        "event_bytes_max = 0",
        "event_bytes_max = 1.5",
        'trace_dir = ""',
        "trace_dir = 1",
        "allowed_hosts = [1]",
        'upstream_proxy = "socks5://a.example"',
        'log_level = "loud"',
        "listen = 8787",
    ],
)
def test_a_value_out_of_range_or_of_another_type_is_named(tmp_path: Path, line: str) -> None:
    """The key and the value stand in the message."""
    (problem,) = problems(tmp_path, toml=line)
    name, value = line.split(" = ")
    assert problem.startswith(f"tailrace.toml: {name} = ")
    assert value.strip('"').removesuffix("e")[1:] in problem


@given(
    st.sampled_from(sorted(Settings.model_fields)),
    st.text(st.characters(exclude_characters="\0")),
)
def test_any_text_in_a_variable_is_taken_or_named(name: str, text: str) -> None:
    """No text makes anything but settings, or one printable problem that names the variable."""
    try:
        load_settings({}, environ={variable_name(name): text}, cwd=Path("/nonexistent"))
    except SettingsError as error:
        (problem,) = error.problems
        assert problem.startswith(variable_name(name))
        assert problem.isprintable()
