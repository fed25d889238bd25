"""Tests of the page in a real browser: by keyboard, in dark mode, on a phone, and with errors."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.playground.conftest import TEXT, PlaygroundPage, assert_no_errors, track_page
from tests.server import Server, serve

MATCH = "**/v1/attention/match"

CONTRAST = """() => {
    const channels = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const light = (rgb) => rgb.map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$/.test(color)) return channels(color);
        }
    };
    return [...document.querySelectorAll('p, h1, h2, h3, button, label, summary, a, .token, .note')]
        .filter((node) => node.offsetParent && node.textContent.trim() && !node.matches('.cell, .skip'))
        .map((node) => {
            const [a, b] = [light(channels(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
            return [(a + 0.05) / (b + 0.05), node.outerHTML.slice(0, 80)];
        }).sort((x, y) => x[0] - y[0])[0];
}"""


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent"))


def tab_to(page: Page, wanted: str) -> None:
    """By the Tab key alone."""
    for _ in range(40):
        if focused(page) == wanted:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached")


def test_text_is_reachable_by_keyboard(opened: PlaygroundPage) -> None:
    page = opened.page
    tab_to(page, "text")
    page.keyboard.press("Control+A")
    page.keyboard.type(TEXT)
    opened.wait_for_text(TEXT)
    tab_to(page, "The")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.wait_for_readout("“The” counts")
    page.keyboard.press("ArrowRight")
    opened.wait_for_readout("“keeper” counts")
    page.keyboard.press("End")
    assert focused(page) == "[SEP]"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    opened.wait_for("document.activeElement.getAttribute('aria-pressed') === 'true'")
    page.keyboard.press("Escape")
    opened.wait_for("document.activeElement.getAttribute('aria-pressed') === 'false'")
    page.keyboard.press("Tab")
    assert focused(page) not in ("keeper", "lit"), "one stop for all tokens"


def test_image_is_reachable_by_keyboard(opened: PlaygroundPage) -> None:
    page = opened.page
    page.locator(".thumb").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cell[data-weight]")
    opened.wait_until_idle()
    page.locator(".cell").first.focus()
    for key, place in (
        ("ArrowDown", "row 2, column 1"),
        ("ArrowRight", "row 2, column 2"),
        ("ArrowUp", "row 1, column 2"),
    ):
        page.keyboard.press(key)
        opened.wait_for_readout(f"The patch in {place} counts")
    assert re.fullmatch(r"row 1, column 2: [\d.<]+", page.evaluate("document.activeElement.getAttribute('aria-label')"))


def test_page_has_labels_for_screen_readers(opened: PlaygroundPage) -> None:
    page = opened.page
    assert page.locator("main, header, footer, nav").count() == 4
    assert "tokens, 384 numbers" in page.inner_text("#status")
    unnamed = page.evaluate("""() => [...document.querySelectorAll('button, input, select, textarea, section')]
        .filter((node) => !(node.hidden || node.textContent.trim() || node.labels?.length
            || node.getAttribute('aria-label') || node.getAttribute('aria-labelledby')))
        .map((node) => node.outerHTML)""")
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_page_is_legible_in_light_and_dark_at_any_width(
    browser: Browser, both: Server, scheme: Any, width: int
) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    opened = track_page(page, both.url)
    page.goto(both.url)
    opened.wait_until_idle()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    red = int(re.findall(r"\d+", page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))[0])
    assert (red < 64) == (scheme == "dark")
    worst, where = page.evaluate(CONTRAST)
    assert worst >= 4.5, where
    page.click("#key-box summary")
    box = page.locator("#key-form").bounding_box()
    assert box
    assert 0 <= box["x"] <= box["x"] + box["width"] <= width
    page.click("#key-box summary")
    page.locator(".thumb").nth(1).click()
    page.wait_for_selector(".cell[data-weight]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
    assert_no_errors(opened)


def test_theme_can_be_chosen(opened: PlaygroundPage) -> None:
    page = opened.page
    grounds = []
    for name in ("light", "dark", "system"):
        page.click("#theme")
        assert page.inner_text("#theme") == f"Theme: {name}"
        grounds.append(page.evaluate("getComputedStyle(document.querySelector('.token')).backgroundColor"))
    assert grounds[0] != grounds[1]
    assert grounds[0] == grounds[2], "this browser's system is light"


def test_colormap_is_readable_and_perceptually_even(opened: PlaygroundPage) -> None:
    worst, spread = opened.page.evaluate("""async () => {
        const { contrastingInk: ink, imageColor: lit, textColor: shade } = await import('/playground/colormap.js');
        const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        const share = [0.2126, 0.7152, 0.0722];
        const light = (rgb) => rgb.reduce((sum, value, i) => sum + linear(value / 255) * share[i], 0);
        const even = (map) => {
            const tones = Array.from({length: 11}, (_, i) => Math.cbrt(light(map(i / 10))));
            const steps = tones.slice(1).map((tone, i) => tone - tones[i]);
            return Math.max(...steps.map(Math.abs)) / Math.min(...steps.map(Math.abs));
        };
        let worst = Infinity;
        for (const theme of ['light', 'dark']) {
            document.documentElement.dataset.theme = theme;
            for (let share = -1; share <= 1; share += 0.01) {
                const ground = light(shade(share));
                worst = Math.min(worst, ink(shade(share)) === '#000' ? (ground + 0.05) / 0.05 : 1.05 / (ground + 0.05));
            }
        }
        return [worst, even(lit)];
    }""")
    assert worst >= 4.5
    assert spread < 2


def test_server_s_words_are_shown_and_trying_again_helps(opened: PlaygroundPage) -> None:
    page = opened.page
    shape = {"message": "the queue is full", "type": "overloaded", "param": None, "code": "overloaded"}
    refuse = {"status": 429, "headers": {"Retry-After": "2"}, "json": {"error": shape, "detail": "the queue is full"}}
    page.route("**/v1/embeddings", lambda route: route.fulfill(**refuse))
    opened.type(TEXT)
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error-text") == "The queue is full. Try again in 2 s."
    page.unroute("**/v1/embeddings")
    page.click("#retry")
    opened.wait_for_tokens(6)
    assert page.locator("#error").is_hidden()
    assert all("429" in line for line in opened.console_errors), "the browser's own line"
    opened.console_errors.clear()


def test_unreachable_server_shows_error(opened: PlaygroundPage) -> None:
    opened.page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    opened.type(TEXT)
    opened.page.wait_for_selector("#error:not([hidden])")
    assert opened.page.inner_text("#error-text") == "The server cannot be reached."
    opened.page.unroute("**/v1/**")
    opened.page.click("#retry")
    opened.wait_for_tokens(6)
    opened.console_errors.clear()


def test_page_shows_nothing_for_empty_text(opened: PlaygroundPage) -> None:
    opened.type("")
    opened.page.wait_for_selector("#empty:not([hidden])")
    assert opened.page.locator(".token").count() == 0
    assert opened.page.inner_text("#curl") == ""


def test_key_is_asked_for_kept_in_memory_and_never_written_out(browser: Browser, minilm: Path) -> None:
    with serve(minilm, api_keys='["secret-key"]') as server:
        page = browser.new_page()
        opened = track_page(page, server.url)
        page.goto(server.url)
        page.wait_for_selector("#error:not([hidden])")
        assert "API key is missing or wrong" in page.inner_text("#error-text")
        page.fill("#key", "secret-key")
        page.click("#key-form button")
        opened.wait_until_idle()
        assert "$API_KEY" in page.inner_text("#curl")
        assert "secret-key" not in page.content()
        assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        assert page.locator("#drop").is_hidden(), "no image model, no pictures"
        page.close()
        assert all("401" in line for line in opened.console_errors)


def test_two_inputs_are_compared(browser: Browser, both: Server) -> None:
    page = browser.new_page()
    opened = track_page(page, both.url)
    page.goto(both.url)
    opened.wait_until_idle()
    opened.type_and_wait(TEXT)
    page.select_option("#other-scene", "3")
    with page.expect_response(MATCH) as answered:
        page.click("#compare")
    page.wait_for_selector("#sides .cell[data-weight]")
    match = answered.value.json()
    text, scene = match["inputs"]
    assert float(page.inner_text("#similarity")) == pytest.approx(match["similarity"], abs=1e-3)
    assert sum(text["contributions"]) == pytest.approx(match["similarity"], abs=1e-4)
    assert "not cause" in page.inner_text("#meaning")
    assert scene["contributions"] is None, "its embedding is no mean of its cells'"
    own = [one for one, token in zip(text["similarities"], text["tokens"], strict=True) if token["end"]]
    shown = opened.weights("#sides .token")
    assert all(any(abs(weight - one) < 1e-4 for weight in shown) for one in own)
    pointed = page.locator("#sides .token").nth(2)
    pointed.hover()
    row = [token["text"] for token in text["tokens"]].index(pointed.inner_text().lower())
    cell = "Math.abs(document.querySelector('#sides .cell').dataset.weight - arg) < 1e-4"
    opened.wait_for(cell, match["pairs"][row][0])
    page.close()
    assert len(scene["similarities"]) == 64
    assert_no_errors(opened)
