"""Tests of the playground's cards that rank documents and label texts, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.playground.conftest import PlaygroundPage, assert_no_errors, track_page
from tests.server import Server

QUERY, DOCUMENTS = "the old lamp", ["a keeper reads", "light", "the old lamp ."]


@pytest.fixture
def page(browser: Browser, every_task: Server) -> Iterator[PlaygroundPage]:
    """The playground of a server that has a model for each task."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    found = track_page(opened, every_task.url)
    opened.goto(every_task.url)
    found.wait_until_idle()
    yield found
    opened.close()
    assert_no_errors(found)


def fill(page: PlaygroundPage, model: str) -> None:
    page.wait_for("!document.getElementById('rank-card').hidden")
    page.page.select_option("#rank-model", model)
    page.page.fill("#rank-query", QUERY)
    page.page.fill("#rank-documents", "\n".join(DOCUMENTS))
    page.page.click("#rank")
    page.wait_for("document.querySelectorAll('#ranked li').length === arg", len(DOCUMENTS))
    page.wait_for("document.getElementById('rank-note').textContent === ''")


@pytest.mark.parametrize(("model", "reason"), [("reranker", "attention"), ("all-MiniLM-L6-v2", "cosine")])
def test_documents_are_ranked_each_with_its_reason(page: PlaygroundPage, model: str, reason: str) -> None:
    fill(page, model)
    assert reason in (page.page.text_content("#rank-reason") or "")
    scores = [float(text) for text in page.page.locator("#ranked .cosine").all_text_contents()]
    assert scores == sorted(scores, reverse=True)
    texts = [text.strip() for text in page.page.locator("#ranked .text").all_text_contents()]
    assert sorted(texts) == sorted(DOCUMENTS)
    shades = page.page.locator("#ranked .text .token").evaluate_all("nodes => nodes.map((node) => node.style.color)")
    assert len(shades) >= 6
    assert all(shades)


def test_mistake_is_told_next_to_the_button(page: PlaygroundPage) -> None:
    page.wait_for("!document.getElementById('rank-card').hidden")
    page.page.fill("#rank-query", " ")
    page.page.click("#rank")
    page.wait_for("document.getElementById('rank-note').textContent.includes('must not be empty')")
    page.console_errors.clear()  # the browser reports the status


def test_spans_and_labels_of_a_text(page: PlaygroundPage) -> None:
    page.wait_for("!document.getElementById('label-card').hidden")
    page.page.fill("#label-text", "the old keeper reads the light .")
    page.page.select_option("#label-model", "labeler")
    page.page.click("#label")
    page.wait_for("!document.getElementById('labeled').hidden")
    page.page.select_option("#label-model", "classifier")
    page.page.click("#label")
    page.wait_for("document.querySelectorAll('#labeled li').length === 3")
    labels = page.page.locator("#labeled .label").all_text_contents()
    assert sorted(labels) == ["contradiction", "entailment", "neutral"]


def test_models_with_a_head_are_not_offered_for_embedding(page: PlaygroundPage) -> None:
    page.wait_until_idle()
    offered = page.page.locator("#model option").all_text_contents()
    assert [name.partition(" ")[0] for name in offered] == ["all-MiniLM-L6-v2", "scenes-vit"]
