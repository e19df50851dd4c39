"""The content of a message, or of a tool's output: its text, and notes on what is no text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reducer.fields import list_of, object_of, text_of

from .readable_json import blob_note, indented, is_data_url

NOTED_CHARACTERS_MAX = 200
"""A URL or a title in a note is cut here."""

CITATIONS_MAX = 20


@dataclass(frozen=True, slots=True)
class Content:
    """What can be read, in its own lines, and notes on what cannot."""

    text: str = ""
    notes: tuple[str, ...] = ()


def joined(contents: Iterable[Content], separator: str = "\n") -> Content:
    """Several contents as one."""
    found = list(contents)
    return Content(
        text=separator.join(content.text for content in found if content.text),
        notes=tuple(note for content in found for note in content.notes),
    )


def read_content(value: object) -> Content:
    """Read what stands under `content` or `output`: a string, an array of parts, or anything."""
    match value:
        case None:
            return Content()
        case str():
            return Content(value)
        case list():
            return joined(map(_read_part, value))
        case dict():
            return _read_part(value)
        case _:
            return Content(indented(value))


def _read_part(part: object) -> Content:
    if isinstance(part, str):
        return Content(part)
    if not isinstance(part, dict):
        return Content(indented(part))
    match part:
        case {"type": "refusal", "refusal": str(refusal)}:
            return Content(refusal, ("a refusal",))
        case {"type": "input_image" | "computer_screenshot" | "image"}:
            return Content(notes=(_file_note("image", part),))
        case {"type": "input_file" | "file"}:
            return Content(notes=(_file_note("file", part),))
        case {"type": "input_audio" | "output_audio"}:
            return _read_audio(part)
        case {"type": "encrypted_content", "encrypted_content": str(value)}:
            return Content(notes=(encrypted_note(value),))
        case {"text": str(text)}:
            return Content(text, tuple(_citations(part)))
        case {"refusal": str(text)}:
            return Content(text)
        case {"type": "output_text" | "input_text" | "text" | "summary_text" | "reasoning_text"}:
            return Content()  # it has begun, and no text of it has come
        case _:
            return Content(indented(part))


def encrypted_note(value: str) -> str:
    """A note on content that only OpenAI can read."""
    return f"encrypted, {len(value):,} characters"


def short(text: str) -> str:
    """A text of some length on one line, cut where it is long."""
    one_line = " ".join(text[: NOTED_CHARACTERS_MAX * 4].split())
    is_whole = len(text) <= NOTED_CHARACTERS_MAX * 4 and len(one_line) <= NOTED_CHARACTERS_MAX
    return one_line if is_whole else one_line[:NOTED_CHARACTERS_MAX] + "…"


def _file_note(what: str, part: Mapping[str, object]) -> str:
    """An image or a file: by its name, what it holds, where it is, or its id."""
    name = text_of(part, "filename")
    named = f"{what} {short(name)}" if name else what
    url = part.get("image_url", part.get("file_url", part.get("url")))
    if isinstance(url, dict):  # as the Chat Completions API has it
        url = url.get("url")
    for data in (part.get("file_data"), part.get("data"), url):
        if isinstance(data, str) and (data is not url or is_data_url(data)):
            return blob_note(named, data)
    if isinstance(url, str):
        return f"{named} at {short(url)}"
    file_id = text_of(part, "file_id")
    return f"{named} {short(file_id)}" if file_id else named


def _read_audio(part: Mapping[str, object]) -> Content:
    audio = object_of(part, "input_audio") or part
    kind = text_of(audio, "format")
    what = f"audio, {short(kind)}" if kind else "audio"
    data = text_of(audio, "data")
    note = what if data is None else blob_note(what, data)
    return Content(text_of(part, "transcript") or "", (note,))


def _citations(part: Mapping[str, object]) -> Iterable[str]:
    """What a text cites, each source once."""
    sources = dict.fromkeys(map(_source, list_of(part, "annotations") or ()))
    named = [source for source in sources if source]
    yield from (f"cites {source}" for source in named[:CITATIONS_MAX])
    if len(named) > CITATIONS_MAX:
        yield f"cites {len(named) - CITATIONS_MAX} more"


def _source(annotation: object) -> str | None:
    match annotation:
        case {"url": str(url), "title": str(title)} if title:
            return f"{short(title)} at {short(url)}"
        case {"url": str(name)} | {"filename": str(name)} | {"file_id": str(name)}:
            return short(name)
        case _:
            return None
