"""What tests look for in a page: its words, without the markup, and its parts by their ids."""

import html
import re


def words(page: str) -> str:
    """The page's text as one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def region(page: str, name: str) -> str:
    """The section of the page that has this id."""
    found = re.search(rf'<section [^>]*id="{name}".*?</section>', page, flags=re.DOTALL)
    assert found is not None, f"there is no section {name}"
    return found[0]


def is_open(page: str, name: str) -> bool:
    """Whether the details with this id are shown from the start."""
    found = re.search(rf'<details [^>]*id="{name}"([^>]*)>', page)
    assert found is not None, f"there are no details {name}"
    return " open" in found[1]
