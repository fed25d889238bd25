"""Fixtures: a real browser, and pages that request no other host and log no error."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.external_programs import require_program
from tests.server import Server

WAIT_TIMEOUT_S = 120
"""For a machine that has much else to do: on one that has not, what is waited for is there within a second."""
HISTORY_DELAY_MS = 1_500
"""For how long the page shows something before it remembers it."""
TEXT = "The keeper lit the lamp."


@dataclass
class PlaygroundPage:
    """A page of the playground, and what a test says is to be complained of.

    What the page does, it does later: after a timer, an answer, or an event that comes when the click is long over. So
    what is expected of it is waited for.
    """

    page: Page
    url: str
    console_errors: list[str] = field(default_factory=list)
    requested_urls: list[str] = field(default_factory=list)

    def wait_for(self, expression: str, arg: object = None) -> None:
        """Until an expression of JavaScript (with `arg`) is true.

        Playwright's own waiting asks the page to evaluate a string, which its policy forbids.
        """
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while not self.page.evaluate(f"(arg) => {expression}", arg):
            assert time.monotonic() < deadline, f"never: {expression}"
            self.page.wait_for_timeout(50)

    def wait_for_value(self, read: Callable[[], object], expected: object) -> None:
        """Wait until `read()` returns `expected`; on timeout, fail with the last value read."""
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while (value := read()) != expected and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        assert value == expected

    def wait_for_readout(self, text: str) -> None:
        """Wait until the readout below the attention contains `text`."""
        self.wait_for("document.getElementById('readout').textContent.includes(arg)", text)

    def wait_for_tokens(self, count: int) -> None:
        """Wait until a text of `count` tokens is shown."""
        self.wait_for("document.querySelectorAll('.text .token').length === arg", count)

    def type(self, text: str) -> None:
        """As if typed; also what no key types."""
        self.page.evaluate(
            "(text) => { const box = document.getElementById('text'); box.value = text; box.oninput(); }", text
        )

    def type_and_wait(self, text: str) -> None:
        """Type, and wait until it is what is shown."""
        self.type(text)
        self.wait_for_text(text)

    def wait_for_text(self, text: str) -> None:
        """Until this very text is what is shown, not one that stood there while it was typed."""
        self.wait_for("document.querySelector('.text')?.textContent.replaceAll('\u2400', '\\0') === arg", text)
        self.wait_until_idle()

    def wait_until_remembered(self) -> None:
        """Until what is shown is remembered: a timer as long as the page's, and set after it, ends after it."""
        self.page.evaluate("(ms) => new Promise((end) => setTimeout(end, ms))", HISTORY_DELAY_MS)

    def wait_until_idle(self) -> None:
        """Until nothing is asked any more and all is shaded; before, something must have been asked."""
        self.page.wait_for_selector("#busy", state="hidden")
        self.page.wait_for_selector("[data-weight]")

    def wait_for_weights(self, selector: str, weights: object) -> None:
        """Until these are the weights that are drawn."""
        self.wait_for_value(lambda: self.weights(selector), weights)

    def weights(self, selector: str) -> list[float]:
        """As they are drawn."""
        found = self.page.locator(selector).evaluate_all("(all) => all.map((one) => Number(one.dataset.weight))")
        return [float(value) for value in found]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Not for longer: while Playwright is there, no other test can run an event loop."""
    chromium = require_program("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=1_000 * WAIT_TIMEOUT_S
        )
        yield browser
        browser.close()


def forward(route: Route) -> None:
    """Send a request by Playwright's client: Chromium aborts all of its own when any interface changes its address."""
    route.fulfill(response=route.fetch(timeout=1_000 * WAIT_TIMEOUT_S))


def track_page(page: Page, url: str) -> PlaygroundPage:
    """A page that writes down what it asks and what it complains of."""
    opened = PlaygroundPage(page, url)
    page.set_default_timeout(1_000 * WAIT_TIMEOUT_S)
    page.route("**/*", forward)
    page.on("request", lambda request: opened.requested_urls.append(request.url))
    page.on("console", lambda message: opened.console_errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: opened.console_errors.append(str(error)))
    return opened


def assert_no_errors(opened: PlaygroundPage) -> None:
    """No other host was asked, and nothing was complained of."""
    for url in opened.requested_urls:
        assert url.startswith(("blob:", "data:")) or urlsplit(url).netloc == urlsplit(opened.url).netloc
    assert opened.requested_urls
    assert opened.console_errors == []


@pytest.fixture
def opened(browser: Browser, both: Server) -> Iterator[PlaygroundPage]:
    """The playground, with its first text shown, and the scenes to pick from."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    found = track_page(page, both.url)
    page.goto(both.url)
    found.wait_until_idle()
    found.wait_for("document.querySelectorAll('.thumb').length === 20")
    yield found
    page.close()
    assert_no_errors(found)
