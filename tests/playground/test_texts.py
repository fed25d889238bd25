"""Tests of texts in a real browser: shaded by the API's weights, split at its offsets, and never parsed as HTML."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import MINILM
from tests.playground.conftest import TEXT, PlaygroundPage

FIRST_TEXT = "The keeper lit the lamp, and the ships found the harbour."
"""What the page shows by itself: remembered or not, by how long it took until a test showed something else."""

TYPING_MS = 250
"""For how long nothing may be typed until the page asks."""

ODD = [
    pytest.param('It\'s a "lamp" of $HOME `id` \\ and !! 100 %', id="quotes"),
    pytest.param("a family 👩‍👩‍👧 at 🏠, then a lamp", id="emoji"),
    pytest.param("שלום לכם, the lamp مرحبا", id="right to left"),
    pytest.param("e\u0301tude na\u0308ive Zalg\u0310\u0322o", id="combining marks"),
    pytest.param("a lamp\0post and\ta\nline", id="NUL, tab and a new line"),
]


def asked(url: str, text: str, attention: object) -> Any:
    body = {"model": MINILM, "input": text, "attention": attention}
    return httpx.post(f"{url}/v1/embeddings", json=body).raise_for_status().json()["data"][0]["attention"]


def run(command: str, folder: Path) -> Any:
    """What a shell makes of the command that is shown."""
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["data"][0]


def test_tokens_are_shaded_by_their_weights(opened: PlaygroundPage) -> None:
    opened.type_and_wait(TEXT)
    expected = asked(opened.url, TEXT, True)
    in_text = [i for i, token in enumerate(expected["tokens"]) if token["start"] < token["end"]]
    apart = [i for i, token in enumerate(expected["tokens"]) if token["start"] == token["end"]]
    assert opened.page.locator(".text .token").all_text_contents() == ["The", "keeper", "lit", "the", "lamp", "."]
    assert opened.weights(".text .token") == pytest.approx([expected["values"][i] for i in in_text], abs=1e-5)
    assert opened.weights(".specials .token") == pytest.approx([expected["values"][i] for i in apart], abs=1e-5)
    assert "384 numbers, of length 1.000" in opened.page.inner_text("#embedding-facts")
    opened.page.click("#table-box summary")
    opened.wait_for_value(opened.page.locator("#table tbody tr").count, len(expected["tokens"]))


def test_every_reduction_is_the_api_s(opened: PlaygroundPage) -> None:
    opened.type_and_wait(TEXT)
    for reduce in ("last", "mean", "max"):
        opened.page.select_option("#reduce", reduce)
        expected = asked(opened.url, TEXT, {"reduce": reduce})["values"][1:-1]
        opened.wait_for_weights(".text .token", pytest.approx(expected, rel=2e-3))


@pytest.mark.parametrize("text", ODD)
def test_any_text_is_cut_where_the_api_says_and_its_curl_gives_what_is_shown(
    opened: PlaygroundPage, text: str, tmp_path: Path
) -> None:
    opened.type_and_wait(text)
    found = run(opened.page.inner_text("#curl"), tmp_path)["attention"]
    pieces: list[tuple[int, str]] = []
    for token in found["tokens"]:
        if token["start"] < token["end"] and (not pieces or token["start"] >= pieces[-1][0]):
            pieces.append((token["end"], text[token["start"] : token["end"]].replace("\0", "\u2400")))
    assert opened.page.locator(".text .token").all_text_contents() == [piece for _, piece in pieces]
    shown = opened.weights(".token")
    assert sum(shown) == pytest.approx(sum(found["values"]), rel=1e-4)
    first = run(opened.page.inner_text("#curl"), tmp_path)["embedding"][:8]
    numbers = opened.page.inner_text("#components").replace("\u2212", "-").split()
    assert [float(number) for number in numbers] == pytest.approx(first, abs=5.1e-5)


@pytest.mark.parametrize("reduce", ["rollout", "raw"])
def test_token_shows_what_it_attends_to_and_holds_when_clicked(
    opened: PlaygroundPage, reduce: str, tmp_path: Path
) -> None:
    opened.type_and_wait(TEXT)
    opened.page.select_option("#reduce", reduce)
    if reduce == "raw":
        opened.page.select_option("#layer", "2")
        opened.page.select_option("#head", "3")
    lamp = opened.page.locator(".text .token", has_text="lamp")
    lamp.hover()
    opened.wait_for_readout("“lamp” counts")
    assert '"query":5' in opened.page.inner_text("#curl")
    lamp.click()
    opened.page.mouse.move(2, 2)
    opened.wait_for_readout("Held")
    found = run(opened.page.inner_text("#curl"), tmp_path)["attention"]
    assert found["query"] == 5
    values = found["values"][0][0] if reduce == "raw" else found["values"]
    opened.wait_for_weights(".text .token", pytest.approx(values[1:-1], rel=2e-3, abs=1e-6))
    assert lamp.get_attribute("aria-pressed") == "true"
    lamp.click()
    opened.wait_for("document.querySelector('.token[aria-pressed=true]') === null")


def test_mean_over_heads_is_that_of_the_heads(opened: PlaygroundPage) -> None:
    opened.type_and_wait(TEXT)
    opened.page.select_option("#reduce", "raw")
    raw = asked(opened.url, TEXT, {"reduce": "raw", "query": "pool", "layers": [5]})["values"][0]
    expected = [sum(column) / len(raw) for column in zip(*raw, strict=True)][1:-1]
    opened.wait_for_weights(".text .token", pytest.approx(expected, rel=5e-3, abs=1e-6))


def test_markup_stays_text(opened: PlaygroundPage) -> None:
    text = '<img src=x onerror="document.title=1"> <script>document.title=2</script>'
    opened.type_and_wait(text)
    opened.wait_until_remembered()
    opened.type_and_wait("Another thing.")
    labels = opened.page.locator("#neighbors .label").all_inner_texts()
    assert [label for label in labels if label != FIRST_TEXT] == [text]
    assert opened.page.title() == "Headlight playground"
    assert opened.page.locator("img[src=x]").count() == 0


def test_long_text_stays_quick_and_says_that_it_is_cut(opened: PlaygroundPage) -> None:
    opened.type_and_wait("lamp " * 400)
    assert opened.page.locator(".text .token").count() == 254
    assert "the rest is left out" in opened.page.inner_text("#readout")
    opened.page.locator(".text .token").first.hover()
    opened.wait_for_readout("“lamp” counts")
    frames = """async () => {
        const began = performance.now();
        for (const token of [...document.querySelectorAll('.token')].slice(0, 50)) {
            token.dispatchEvent(new PointerEvent('pointerover', {bubbles: true, pointerType: 'mouse'}));
            await new Promise(requestAnimationFrame);
        }
        return (performance.now() - began) / 50;
    }"""
    assert min(opened.page.evaluate(frames) for _ in range(3)) < 150, "a frame a token, on a busy machine"


def test_history_is_remembered_and_ranked(opened: PlaygroundPage) -> None:
    for text in ("A cat sleeps on the sofa.", "Interest rates rose again."):
        opened.type_and_wait(text)
        opened.wait_until_remembered()
    opened.type_and_wait("A kitten naps on the couch.")
    labels = opened.page.locator("#neighbors .label").all_inner_texts()
    assert labels[0] == "A cat sleeps on the sofa."
    assert "Interest rates rose again." in labels
    opened.page.locator("#neighbors button").first.click()
    opened.wait_for_text("A cat sleeps on the sofa.")
    assert opened.page.input_value("#text") == "A cat sleeps on the sofa."


def test_typing_asks_once_and_for_the_last(opened: PlaygroundPage) -> None:
    """Use a mocked clock that only the test advances, so that slow key presses do not count as a pause."""
    opened.page.clock.install()
    opened.page.clock.pause_at(time.time() + 60)
    before = sum("embeddings" in url for url in opened.requested_urls)
    opened.page.locator("#text").press_sequentially(" More and more words.")
    opened.page.clock.run_for(TYPING_MS - 1)
    assert sum("embeddings" in url for url in opened.requested_urls) == before, "it waits for more"
    opened.page.clock.run_for(1)
    opened.wait_for_text(opened.page.input_value("#text"))
    assert sum("embeddings" in url for url in opened.requested_urls) == before + 1
