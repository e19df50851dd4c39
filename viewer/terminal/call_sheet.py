"""A call as a person would tell it: who asked, what was sent, what came, when, and how it ended."""

from reducer.fields import object_of, text_of

from ..call.ending import cut_words, ending
from ..call.event_summary import on_one_line
from ..call.new_entries import first_new
from ..call.story import Entry, EntryKind, Story
from ..catalog.relatives import Relatives
from ..catalog.rows import CallKind, CallRow
from ..figures import duration, moment, size
from .link_words import link_words
from .sheet import Sheet
from .styles import status_style
from .time_bars import print_waterfall

NEW_ENTRIES_MAX = 12
"""Of a request that is all new, such as one with a long history of its own, the last are shown."""

LINKS_MAX = 5

_MORE = "`--request` and `--response` have all"


def print_story(story: Story, links: Relatives, cache_miss: str | None) -> None:
    """Print all of it to stdout. `cache_miss` is why less was cached than might have been."""
    sheet = Sheet()
    row = story.row
    what = "Compaction" if row.kind is CallKind.COMPACTION else "Call"
    characters = sum(len(entry.text) for entry in story.output)
    sheet.title(f"{what} {row.call_id}")
    sheet.line(ending(row, characters=characters), style=f"bold {status_style(row)}")
    _print_asker(sheet, story)
    _print_links(sheet, row, links)
    _print_sent(sheet, story)
    _print_came(sheet, story)
    sheet.heading("Time")
    print_waterfall(sheet, story.waterfall)
    _print_end(sheet, story, cache_miss)
    if story.missing:
        sheet.heading("Missing")
        for sentence in story.missing:
            sheet.line(sentence, style="yellow")


def _print_asker(sheet: Sheet, story: Story) -> None:
    row, client = story.row, object_of(story.start, "client")
    retry = f", try {row.retry_count + 1} by its own count" if row.retry_count else ""
    who = text_of(client, "user_agent") or "a client that does not say who it is"
    if story.start:
        sheet.field("asked by", f"{who}{retry}")
    elif row.turn_id is not None:
        sheet.field("asked by", "the client that recorded it itself")
    sheet.field("asked at", moment(row.started_at_unix_ms))
    how = _how(story)
    sheet.field("model", f"{row.model}{f', {how}' if how else ''}")
    sheet.field("thread", row.thread_id)
    sheet.field("bundle", str(row.bundle))


def _how(story: Story) -> str:
    transports = {"sse": "as a stream", "http": "as one JSON", "websocket": "over a WebSocket"}
    return transports.get(story.row.transport, "")


def _print_links(sheet: Sheet, row: CallRow, links: Relatives) -> None:
    if links.before is not None:
        sheet.field("continues", f"{links.before.call_id}, {link_words(row.continues_by)}")
    attempts = [attempt.id for attempt in links.attempts]
    if row.id in attempts:
        place = attempts.index(row.id)
        for label, others in (
            ("retry of", links.attempts[:place][-1:]),
            ("retried by", links.attempts[place + 1 :][:1]),
        ):
            for other in others:
                sheet.field(label, f"{other.call_id} ({other.status})")
    label = "continued by"
    for other in links.continuing[:LINKS_MAX]:
        sheet.field(label, other.call_id)
        label = ""
    if links.continuing_count > LINKS_MAX:
        sheet.field("", f"and {links.continuing_count - LINKS_MAX} more")


def _print_sent(sheet: Sheet, story: Story) -> None:
    sheet.heading("Sent")
    begin = max(first_new(story), len(story.input) - NEW_ENTRIES_MAX)
    for entry in story.input[begin:]:
        _print_entry(sheet, entry, story.row)
    if begin:
        earlier = "1 earlier item" if begin == 1 else f"{begin:,} earlier items"
        sheet.line(f"{earlier}, see `--request`", style="dim")
    if not story.input:
        sheet.line("no input that can be shown", style="dim")
    if story.instructions:
        sheet.field("instructions", on_one_line(story.instructions))
    if story.tools:
        sheet.field("tools", on_one_line(", ".join(story.tools)))
    told = (f"{setting.name} {setting.value}" for setting in story.settings)
    if story.settings:
        sheet.field("settings", "; ".join(map(on_one_line, told)))


def _print_came(sheet: Sheet, story: Story) -> None:
    sheet.heading("Came")
    for entry in story.output:
        _print_entry(sheet, entry, story.row)
    if story.error:
        label = "answer" if story.row.http_status and story.row.http_status >= 400 else "why"
        sheet.text(label, story.error, more=_MORE, style="red")
    elif not story.output:
        sheet.line("nothing yet" if story.row.status == "running" else "no output", style="dim")


def _print_entry(sheet: Sheet, entry: Entry, row: CallRow) -> None:
    match entry.kind:
        case EntryKind.REASONING | EntryKind.COMPACTION:
            who = str(entry.kind)
        case EntryKind.TOOL_CALL:
            who = f"{entry.who}()"
        case EntryKind.TOOL_OUTPUT:
            who = f"{entry.who} gave"
        case _:
            who = entry.who
    style = "italic" if entry.kind is EntryKind.REASONING else ""
    text, notes = entry.text, list(entry.notes)
    if not text and notes:
        text = f"[{notes.pop(0)}]"
    sheet.text(who, text, more=_MORE, style=style)
    for note in notes:
        sheet.note(note)
    if entry.is_partial:
        sheet.note(cut_words(row), style="bold yellow")


def _print_end(sheet: Sheet, story: Story, cache_miss: str | None) -> None:
    row = story.row
    sheet.heading("End")
    if row.protocol or row.transport_end:
        sheet.field("last word", f"{row.protocol or '-'}; transport: {row.transport_end or '-'}")
    if row.usage is not None:
        usage = row.usage
        rate = row.output_tokens_per_second
        speed = "" if rate is None else f", {rate:,.0f} a second"
        sheet.field(
            "tokens",
            f"{usage.input_tokens:,} in ({usage.cached_input_tokens:,} cached),"
            f" {usage.output_tokens:,} out ({usage.reasoning_output_tokens:,} reasoning){speed}",
        )
    if cache_miss is not None:
        sheet.field("cache", cache_miss)
    if row.bytes_up or row.bytes_down:
        events = f", {row.events:,} events" if row.events else ""
        sheet.field("bytes", f"{size(row.bytes_up)} up, {size(row.bytes_down)} down{events}")
    if row.timing.waited_on_client:
        waited = duration(row.timing.waited_on_client)
        sheet.field("client", f"took nothing for {waited} in all")
    sheet.field("http status", "-" if row.http_status is None else str(row.http_status))
    sheet.field("request id", row.upstream_request_id or "-")
    if header := text_of(story.end, "upstream_request_id_header"):
        sheet.field("its header", header)
    sheet.field("response id", row.response_id or "-")
    sheet.line("`--support` has these, times and sizes for OpenAI, without content", style="dim")
