"""What a command is given to find the proxy, and the exit code it is answered with."""

import signal
from pathlib import Path
from typing import NoReturn

import pytest

from proxy.own_bundles import OwnBundles
from proxy.run_command import (
    CommandError,
    Finished,
    base_url_layer,
    command_for,
    environment_for,
    exit_code_of,
    run_command,
)
from proxy.settings import Settings

BASE_URL = "http://127.0.0.1:4321/v1"


@pytest.mark.parametrize("codex", ["codex", "./node_modules/.bin/codex", "/usr/bin/codex"])
def test_codex_is_told_the_base_url_in_its_configuration(codex: str) -> None:
    """It ignores OPENAI_BASE_URL; the option stands before any subcommand."""
    assert command_for([codex, "exec", "-c", "a=1", "Hi"], BASE_URL) == [
        codex,
        "-c",
        'openai_base_url="http://127.0.0.1:4321/v1"',
        "exec",
        "-c",
        "a=1",
        "Hi",
    ]


@pytest.mark.parametrize("command", [["python", "codex"], ["codex.py"], ["my-codex", "exec"]])
def test_another_command_is_run_as_it_is(command: list[str]) -> None:
    """Only the program's own name counts."""
    assert command_for(command, BASE_URL) == command


@pytest.mark.parametrize(
    ("environ", "no_proxy"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "a.example, b.example"}, "a.example,b.example,127.0.0.1,localhost"),
        ({"no_proxy": "a.example"}, "a.example,127.0.0.1,localhost"),
        ({"NO_PROXY": "localhost"}, "localhost,127.0.0.1"),
        ({"NO_PROXY": "a.example", "no_proxy": "b.example"}, "b.example,127.0.0.1,localhost"),
    ],
)
def test_no_proxy_stands_between_the_command_and_us(environ: dict[str, str], no_proxy: str) -> None:
    """What was excepted stays so; both spellings agree, since programs read either."""
    environment = environment_for(environ, BASE_URL)
    assert environment["NO_PROXY"] == environment["no_proxy"] == no_proxy


def test_the_environment_is_otherwise_the_same() -> None:
    """But for the base URL, the command runs as without us."""
    environment = environment_for({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "x"}, BASE_URL)
    assert (environment["OPENAI_API_KEY"], environment["OPENAI_BASE_URL"]) == ("k", BASE_URL)


def test_another_listen_address_is_excepted_too() -> None:
    """`--listen [::1]:0` is as near as 127.0.0.1."""
    environment = environment_for({}, "http://[::1]:4321/v1")
    assert environment["NO_PROXY"] == "127.0.0.1,localhost,::1"


@pytest.mark.parametrize(
    ("returncode", "exit_code"), [(0, 0), (3, 3), (255, 255), (-signal.SIGTERM, 143), (-9, 137)]
)
def test_an_exit_code_is_passed_on_as_a_shell_does(returncode: int, exit_code: int) -> None:
    """A signal's number is added to 128."""
    assert exit_code_of(returncode) == exit_code


def test_a_base_url_that_is_set_becomes_the_upstream() -> None:
    """The command's calls go where they went without us; an empty one names nothing."""
    layer = base_url_layer({"OPENAI_BASE_URL": "http://a.example/v1"})
    assert layer is not None
    assert layer.values == {"upstream": "http://a.example/v1"}
    assert base_url_layer({"OPENAI_BASE_URL": ""}) is None
    assert base_url_layer({}) is None


def test_a_proxy_that_fails_is_exit_code_125_and_the_command_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the failure is a bug: the command would call past us."""

    def broken(_settings: Settings) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("proxy.run_command.running_proxy", broken)
    with pytest.raises(CommandError, match="the proxy failed") as caught:
        run_command(Settings(trace_dir=tmp_path), ["touch", str(tmp_path / "ran")])
    assert caught.value.exit_code == 125
    assert list(tmp_path.iterdir()) == []


def write_manifest(trace_dir: Path, name: str, text: str) -> Path:
    """A bundle that has nothing but a manifest."""
    bundle = trace_dir / name
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text(text)
    return bundle


def test_only_our_own_new_bundles_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of another process, of an earlier one with our id, or that cannot be read."""
    monkeypatch.setattr("os.getpid", lambda: 42)
    ours = '{"producer": {"pid": 42}}'
    write_manifest(tmp_path, "trace-1", ours)
    bundles = OwnBundles(tmp_path)
    assert bundles.found() == []
    write_manifest(tmp_path, "trace-2", '{"producer": {"pid": 43}}')
    later = write_manifest(tmp_path, "trace-4", ours)
    sooner = write_manifest(tmp_path, "trace-3", ours)
    for number, text in enumerate(("", "[]", "{}", '{"producer": 1}', "\ud800"), start=5):
        (tmp_path / f"trace-{number}").mkdir()
        data = text.encode("utf-8", "surrogatepass")
        (tmp_path / f"trace-{number}" / "manifest.json").write_bytes(data)
    assert bundles.found() == [sooner, later]


def test_a_trace_directory_that_is_not_there_holds_no_bundle(tmp_path: Path) -> None:
    """With capture off it is never made."""
    assert OwnBundles(tmp_path / "none").found() == []


def test_a_trace_directory_that_cannot_be_listed_stops_no_command(tmp_path: Path) -> None:
    """The command runs, and its exit code is ours."""
    loop = tmp_path / "traces"
    loop.symlink_to(loop)
    settings = Settings(listen="127.0.0.1:0", trace_dir=loop)
    assert run_command(settings, ["true"]) == Finished(exit_code=0, bundles=[])
