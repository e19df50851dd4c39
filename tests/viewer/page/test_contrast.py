"""Every text on the page can be read, in light and in dark: WCAG 2.2 AA, by computation."""

import re

import pytest

from viewer.page.static_files import STATIC

TEXT_MIN = 4.5
"""WCAG 1.4.3, for text of any size."""
SHAPE_MIN = 3.0
"""WCAG 1.4.11, for borders of controls and for what is drawn."""

GROUNDS = ("bg", "surface", "sunken", "accent-soft")
"""What rows, cards and pages lie on; the last is the row that has the focus."""
STATUSES = ("completed", "failed", "cancelled", "running", "aborted")
ON_ANY_GROUND = ("text", "muted", "accent", *STATUSES)


def tokens(style_sheet: str = "tailrace.css") -> dict[str, dict[str, str]]:
    """The colours of either scheme, by name: the first block is light, the second one dark."""
    css = (STATIC / style_sheet).read_text()
    light, dark = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)
    pairs = {
        name: dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for name, block in (("light", light), ("dark", dark))
    }
    assert pairs["light"].keys() == pairs["dark"].keys()
    return pairs


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Between 1 and 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_rightly() -> None:
    """Black on white has the most there is."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(scheme: str) -> None:
    """Each colour of text on each ground that it stands on."""
    colours = tokens()[scheme]
    pairs = [(text, ground) for text in ON_ANY_GROUND for ground in GROUNDS]
    pairs += [(status, f"{status}-soft") for status in STATUSES]
    pairs += [("text", f"{status}-soft") for status in STATUSES] + [("text", "mark")]
    weak = {
        pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2)
        for pair in pairs
        if contrast(colours[pair[0]], colours[pair[1]]) < TEXT_MIN
    }
    assert weak == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_controls_can_be_seen(scheme: str) -> None:
    """Borders of fields and buttons stand out from what is beside them."""
    colours = tokens()[scheme]
    for ground in ("bg", "surface"):
        assert contrast(colours["line-strong"], colours[ground]) >= SHAPE_MIN


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_of_a_waterfall_can_be_seen(scheme: str) -> None:
    """The colour of each phase, and of each wait, on the lane that it is drawn on."""
    ground = tokens()[scheme]["bg"]
    weak = {
        name: round(contrast(colour, ground), 2)
        for name, colour in tokens("call.css")[scheme].items()
        if contrast(colour, ground) < SHAPE_MIN
    }
    assert weak == {}


def test_no_colour_stands_outside_the_tokens() -> None:
    """So that the pairs above are all there are."""
    for path in STATIC.glob("*.css"):
        rules = re.sub(r":root \{.*?\}", "", path.read_text(), flags=re.DOTALL)
        colours = re.findall(r"#[0-9a-fA-F]{3,8}\b|\brgba?\([^)]*\)|\bhsla?\(", rules)
        assert set(colours) <= {"rgb(0 0 0 / 45%)"}, path.name
