"""Output that would be markup, script or a control character elsewhere is text here."""

import pytest
from playwright.sync_api import expect

from tests.support.sample_answers import Answer
from tests.support.sample_hostile import ANSWERS, MARKUP, MEGABYTE, MODEL

from .sample_paths import SamplePaths
from .watched_page import Watched

OUR_SCRIPTS = "location.origin + '/static/'"

# What the hostile text would make, were it markup: none of these is an element of ours.
FOREIGN = f"""() => [...document.querySelectorAll(
    "img, iframe, object, embed, base, form[action^=http], style, svg[onload], [onerror], [onload],"
    + " [onfocus], [onmouseover], a[href^=javascript], a[href*=attacker]"
  )].concat([...document.scripts].filter((script) => !script.src.startsWith({OUR_SCRIPTS})))
  .map((element) => element.outerHTML)"""

# A bidi control or another character that does something, in any text that is shown.
ACTIVE = r"""() => [...document.body.innerText.matchAll(
    /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g)]
  .map(([found]) => "U+" + found.codePointAt(0).toString(16))"""


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_hostile_output_is_text(watched: Watched, paths: SamplePaths, answer: Answer) -> None:
    """It makes no element, runs nothing, loads nothing, and no control character is shown raw."""
    for path in (paths.call(answer.name), paths.thread(answer.name)):
        page = watched.open(path)
        expect(page.locator("#live-state")).to_have_text("live")
        assert page.evaluate(FOREIGN) == []
        assert page.evaluate(ACTIVE) == []
        assert "U+" not in page.title()


def test_list_of_hostile_calls_is_text(watched: Watched) -> None:
    """The same on the list, in its filter, on the strip and in a search for it."""
    for path in ("/", "/?text=script", "/?text=%3Cscript%3Ealert(1)&model=%3Cscript%3E"):
        page = watched.open(path)
        expect(page.locator("#live-state")).to_have_text("live")
        assert page.evaluate(FOREIGN) == []
        assert page.evaluate(ACTIVE) == []
    expect(page.get_by_role("searchbox")).to_have_value("<script>alert(1)")


def test_markup_is_shown_as_it_came(watched: Watched, paths: SamplePaths) -> None:
    """Nothing is taken out of it either: who debugs must see what came."""
    page = watched.open(paths.call("hostile markup"))
    shown = page.locator("#response .said").nth(1).inner_text()
    assert shown.split() == MARKUP.split()
    expect(page.locator("#headline")).to_contain_text(MODEL)


def test_line_of_a_megabyte_is_cut_and_can_be_read(watched: Watched, paths: SamplePaths) -> None:
    """The page holds a part of it, says how much is left out, and leads to the rest."""
    page = watched.open(paths.call("hostile megabyte"))
    response = page.locator("#response")
    assert len(response.inner_text()) < len(MEGABYTE) / 10
    response.get_by_role("link", name="Read the whole text").click()
    expect(page.locator("#main")).to_contain_text("Page 1 of 11")
    page.get_by_role("link", name="Next").first.click()
    expect(page.locator("#main")).to_contain_text("Page 2 of 11")


def test_other_scripts_read_in_their_own_direction(watched: Watched, paths: SamplePaths) -> None:
    """Arabic runs from right to left, in its own paragraph, and nothing around it turns."""
    page = watched.open(paths.call("translation arabic"))
    said = page.locator("#response .said")
    assert said.evaluate("(element) => getComputedStyle(element).direction") == "rtl"
    assert page.evaluate("getComputedStyle(document.body).direction") == "ltr"
