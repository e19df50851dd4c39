"""Texts from bundles as a page shows them: in their own lines, with nothing hidden in them."""

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from .formats import ILLEGIBLE, legible

_HIDDEN = re.compile(f"(?:{ILLEGIBLE.pattern})+")


def as_text(text: object) -> Markup:
    """A text of many lines, escaped; what could not be seen in it is shown, and marked as such."""
    whole = str(text).replace("\r\n", "\n")
    parts: list[Markup] = []
    end = 0
    for found in _HIDDEN.finditer(whole):
        parts.append(escape(whole[end : found.start()]))
        parts.append(Markup('<span class="esc">{}</span>').format(legible(found[0])))
        end = found.end()
    parts.append(escape(whole[end:]))
    return Markup("").join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """The beginning of a text, and how many characters of it are left out."""

    text: str
    left_out: int


def excerpt(text: str, characters: int) -> Excerpt:
    """The first `characters` of a text, or a little less: it ends with a line where one is near."""
    if len(text) <= characters:
        return Excerpt(text=text, left_out=0)
    line_end = text.rfind("\n", characters - characters // 10, characters)
    end = characters if line_end < 0 else line_end + 1
    return Excerpt(text=text[:end], left_out=len(text) - end)
