"""`export --format html`: one file that needs nothing from elsewhere, written once."""

import base64
import hashlib
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tailrace import main
from tests.support.bundles import BundleBuilder, message
from tests.viewer.page.markup import words

HOSTILE = '</style><script>alert(1)</script><img src="http://attacker.invalid/x"> \x1b[31m'


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle with a call that was cut, and one that continues it."""
    builder = BundleBuilder(tmp_path / "traces" / "trace-1")
    builder.turn("t")
    builder.start("call-1", "t", {"model": HOSTILE, "input": [message("user", HOSTILE)]})
    partial = {"output_index": 0, "item": message("assistant", "half an ans")}
    outcome = {"protocol": "none", "transport": "client_closed"}
    builder.cancel(
        "call-1", response_id="resp_1", partial_items=[partial], proxy={"outcome": outcome}
    )
    asked = {"model": "m", "previous_response_id": "resp_1", "input": "Go on."}
    builder.start("call-2", "t", asked)
    builder.complete("call-2", [message("assistant", "wer.")], response_id="resp_2")
    builder.write()
    return builder


def export(bundle: BundleBuilder, selector: str, output: Path) -> Result:
    """What the command does, with no settings but the directory."""
    ours = {name: None for name in os.environ if name.startswith("TAILRACE_")}
    arguments = ["export", selector, "--format", "html", "-o", str(output)]
    arguments += ["--trace-dir", str(bundle.path.parent)]
    return CliRunner().invoke(main, arguments, env=ours)


def assert_stands_alone(html: str) -> None:
    """It has a policy that allows its own style and nothing else, and names no other place."""
    style = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].replace("&#39;", "'") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'"
    )
    assert not re.search(r"<(script|link|img|iframe|form|base|object)\b", html)
    assert not re.search(r'\b(href|src|action)="(?!#)', html)
    assert not re.search(r"\burl\((?!#)|@import", html)
    assert "data-live" not in html
    assert "\x1b" not in html


def test_call_is_one_file(bundle: BundleBuilder, tmp_path: Path) -> None:
    """It tells the call as the page does, cut line and all, for its owner's eyes."""
    output = tmp_path / "call.html"
    done = export(bundle, "resp_1", output)
    assert (done.exit_code, done.output) == (0, "")
    html = output.read_text()
    assert_stands_alone(html)
    text = words(html)
    assert "Cancelled: the client disconnected" in text
    assert "half an ans cut here: the client disconnected" in text
    assert "alert(1)" in text
    assert output.stat().st_mode & 0o777 == 0o600


def test_page_can_be_printed(
    bundle: BundleBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To `-o -` goes what a file would hold, and no file of that name is made."""
    monkeypatch.chdir(tmp_path)
    export(bundle, "call-1", Path("call.html"))
    done = export(bundle, "call-1", Path("-"))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout_bytes == Path("call.html").read_bytes()
    assert not Path("-").exists()


def test_thread_is_one_file(bundle: BundleBuilder, tmp_path: Path) -> None:
    """A thread's file has the whole conversation."""
    output = tmp_path / "thread.html"
    done = export(bundle, "root", output)
    assert (done.exit_code, done.output) == (0, "")
    html = output.read_text()
    assert_stands_alone(html)
    assert words(html).index("half an ans") < words(html).index("Go on.") < html.index("wer.")


def test_nothing_is_overwritten(bundle: BundleBuilder, tmp_path: Path) -> None:
    """What is at the path stays as it is; a link there is not followed."""
    there = tmp_path / "there.html"
    there.write_text("mine")
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "nowhere.html")
    for output in (there, link):
        done = export(bundle, "resp_1", output)
        assert done.exit_code == 1
        assert "is there already" in done.output
    assert there.read_text() == "mine"
    assert not (tmp_path / "nowhere.html").exists()


@pytest.mark.parametrize(("selector", "says"), [("resp_", "resp_"), ("nothing", "no call")])
def test_selector_that_names_no_one_thing(
    bundle: BundleBuilder, tmp_path: Path, selector: str, says: str
) -> None:
    """Several matches, or none: a message, and no file."""
    done = export(bundle, selector, tmp_path / "x.html")
    assert done.exit_code == 1
    assert done.output.startswith("tailrace: ")
    assert says in done.output
    assert not (tmp_path / "x.html").exists()


def test_directory_is_no_call(bundle: BundleBuilder, tmp_path: Path) -> None:
    """A bundle cannot be one page; what can is told."""
    done = export(bundle, str(bundle.path), tmp_path / "x.html")
    assert done.exit_code == 1
    assert "html is of a call or a thread" in done.output


def test_place_that_cannot_be_written(bundle: BundleBuilder, tmp_path: Path) -> None:
    """A directory that is not there is told, without a traceback."""
    done = export(bundle, "resp_1", tmp_path / "none" / "x.html")
    assert done.exit_code == 1
    assert "cannot be written" in done.output
