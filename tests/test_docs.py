"""The documents say what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import tailrace
from proxy.config_example import config_example
from proxy.settings import Settings
from proxy.settings_sources import load_settings, variable_name
from reducer.diagnostics import Code

ROOT = Path(__file__).parent.parent


def test_the_example_file_names_every_setting_as_it_is() -> None:
    """If it differs: python -m proxy.config_example > config.example.toml."""
    assert (ROOT / "config.example.toml").read_text() == config_example()


def test_the_example_file_used_as_it_is_gives_the_defaults(tmp_path: Path) -> None:
    """All keys are there, and none of them changes anything."""
    settings = load_settings({}, ROOT / "config.example.toml", environ={}, cwd=tmp_path)
    assert settings == Settings()
    assert settings.model_fields_set == set(Settings.model_fields)


def test_every_number_says_its_unit() -> None:
    """In the first word of its description: seconds, bytes, or what is counted."""
    units = {
        name: (field.description or "").split()[0]
        for name, field in Settings.model_fields.items()
        if field.annotation in (int, float)
    }
    assert set(units.values()) == {"Bytes", "Seconds", "Connections", "Processes"}


def test_every_command_that_the_readme_names_is_there() -> None:
    """In a line to type, or in the text."""
    readme = (ROOT / "README.md").read_text()
    named = re.findall(r"^    tailrace (\w+)|`tailrace (\w+)", readme, flags=re.MULTILINE)
    commands = {at_line_start or in_text for at_line_start, in_text in named}
    assert commands
    assert commands <= {*tailrace.main.commands, *tailrace.READING_COMMANDS}


def test_every_diagnostic_is_explained() -> None:
    """The table names each code of the reducer, and none that is not there."""
    text = (ROOT / "docs" / "bundle.md").read_text()
    table = text.partition("## Diagnostics")[2].partition("\n## ")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [code for cell in first_cells for code in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(Code)


def test_every_variable_that_a_deployment_sets_is_a_setting() -> None:
    """An unknown one would only be warned of, and the default would hold."""
    files = [ROOT / "Dockerfile", *(ROOT / "deploy").glob("*.y*ml")]
    named = {name for path in files for name in re.findall(r"\bTAILRACE_\w+", path.read_text())}
    assert named
    assert named <= {variable_name(name) for name in Settings.model_fields}


def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    """Line by line, but for ids and times, which differ in each run."""
    readme = (ROOT / "README.md").read_text()
    start = readme.index("    What the client saw:")
    screen = readme[start : readme.index("\n\n`response`", start)]
    demo = subprocess.run(
        [sys.executable, "-m", "tailrace", "demo", "--trace-dir", tmp_path / "traces"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=True,
    )
    printed = _without_what_differs(demo.stdout)
    lines = [_without_what_differs(line) for line in screen.splitlines()]
    assert [line for line in lines if line not in {"", "..."} and line not in printed] == []


def _without_what_differs(text: str) -> str:
    """`text` on one line, with ids, times and paths replaced."""
    text = re.sub(r"\b(resp|req)_[0-9a-f]{32}\b", r"\1_*", text)
    text = re.sub(r"\S*trace-[0-9a-f-]{36}", "BUNDLE", text)
    text = re.sub(r"\bshow [0-9a-f]{8}\b", "show *", text)
    text = re.sub(r"\d+(\.\d+)? m?s\b", "TIME", text)
    return " ".join(text.split())
