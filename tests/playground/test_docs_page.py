"""Tests of /docs: Swagger UI sends requests to this server and to no other host."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.playground.conftest import PlaygroundPage, assert_no_errors, track_page
from tests.server import Server


@pytest.fixture
def docs(browser: Browser, both: Server) -> Iterator[PlaygroundPage]:
    """The page with its operations listed; at the end it has asked this server alone."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    opened = track_page(page, f"{both.url}/docs")
    page.goto(opened.url)
    page.wait_for_selector("#operations-OpenAI-post_v1_embeddings")
    yield opened
    assert_no_errors(opened)
    page.close()


def test_docs_page_tries_an_example(docs: PlaygroundPage) -> None:
    page = docs.page
    page.click("#operations-OpenAI-post_v1_embeddings .opblock-summary-control")
    operation = page.locator("#operations-OpenAI-post_v1_embeddings")
    operation.locator(".examples-select-element").select_option("attention")
    operation.get_by_role("button", name="Execute").click()
    status = operation.locator(".live-responses-table tr.response .response-col_status")
    docs.wait_for_value(lambda: status.first.inner_text().split()[0] if status.count() else None, "200")
    response = operation.locator(".live-responses-table tr.response .response-col_description").first.inner_text()
    assert '"attention"' in response
    assert re.search(r"curl -X 'POST'.*/v1/embeddings", operation.locator(".curl").inner_text(), re.DOTALL)


def test_docs_page_takes_an_api_key(docs: PlaygroundPage) -> None:
    page = docs.page
    page.click(".auth-wrapper .authorize")
    names = page.locator(".dialog-ux h4").all_inner_texts()
    assert [name.split()[0] for name in names] == ["bearer", "header"]
    page.click(".dialog-ux .close-modal")
