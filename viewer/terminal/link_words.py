"""What says that a call continues another, in words."""

_WORDS = {
    "previous_response_id": "by previous_response_id",
    "explicit": "in one thread",
    "call_id": "by a tool's output",
    "prefix": "by what its input begins with",
}


def link_words(by: str | None) -> str:
    """How a link was found, by its name in the bundle's state."""
    return _WORDS.get(by or "", "")
