"""A page in the browser that notes whatever a page of ours must not do."""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request

BROWSER_OPTIONS = (
    "--no-sandbox",  # which a container's root cannot have
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""Of the browser: no other host can be found."""

WAIT_MS = 10_000
"""How long an expectation is waited for, before it fails; no behaviour depends on it."""


@dataclass(slots=True)
class Misdeeds:
    """What came up that must not: an empty list of each is what is wanted."""

    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    foreign_requests: list[str] = field(default_factory=list)

    def all(self) -> list[str]:
        """Everything, for the message of a failed test."""
        return [*self.console, *self.errors, *self.dialogs, *self.foreign_requests]


class Watched:
    """`with Watched(browser, url) as watched:` has a page of a context of its own.

    Leaving fails if the page logged a warning or an error, threw, opened a dialog, or asked any
    other host for anything. `expected` are parts of console messages that a test brings about.
    """

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.misdeeds = Misdeeds()
        self.expected: list[str] = []
        self.url = url.rstrip("/")
        self._host = urlsplit(url).netloc
        self._browser = browser
        self._settings = {"viewport": {"width": 1280, "height": 900}} | context

    def __enter__(self) -> Self:
        self.context: BrowserContext = self._browser.new_context(**self._settings)
        self.context.set_default_timeout(WAIT_MS)
        self.context.on("request", self._note_request)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.misdeeds.errors.append(str(error)))
        self.page.on("dialog", self._note_dialog)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.context.close()
        if exc is None:
            misdeeds = self.misdeeds.all()
            assert not misdeeds, misdeeds

    def open(self, path: str = "/") -> Page:
        """Go there, and wait until the page is there."""
        self.page.goto(self.url + path)
        return self.page

    def _note_console(self, message: ConsoleMessage) -> None:
        is_expected = any(part in message.text for part in self.expected)
        if message.type in {"error", "warning", "assert"} and not is_expected:
            self.misdeeds.console.append(f"{message.type}: {message.text}")

    def _note_dialog(self, dialog: Dialog) -> None:
        self.misdeeds.dialogs.append(dialog.message)
        dialog.dismiss()

    def _note_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.netloc != self._host and url.scheme not in {"data", "blob", "about"}:
            self.misdeeds.foreign_requests.append(request.url)
