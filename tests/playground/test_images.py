"""Tests of images in a real browser: from a file, the clipboard and the scenes; and search for scenes."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Route

from tests.conftest import ROOT
from tests.playground.conftest import PlaygroundPage, assert_no_errors, track_page
from tests.playground.test_texts import run
from tests.server import Server

SCENE = ROOT / "docs/scene.png"


def upload(opened: PlaygroundPage, path: Path) -> None:
    opened.page.set_input_files("#file", path)
    opened.page.wait_for_selector(".cell[data-weight]")
    opened.wait_until_idle()


def answered(url: str, picture: bytes) -> Any:
    answer = httpx.post(
        f"{url}/v1/embeddings?model=scenes-vit&attention=rollout",
        content=picture,
        headers={"Content-Type": "image/png"},
    )
    return answer.raise_for_status().json()["data"][0]["attention"]


def test_file_is_shaded_patch_by_patch_and_its_curl_gives_the_same(opened: PlaygroundPage, tmp_path: Path) -> None:
    named = tmp_path / "it's a scene.png"
    named.write_bytes(SCENE.read_bytes())
    upload(opened, named)
    expected = answered(opened.url, SCENE.read_bytes())
    assert opened.page.input_value("#model") == "scenes-vit"
    assert opened.weights(".cell") == pytest.approx(expected["values"], abs=1e-5)
    command = opened.page.inner_text("#curl")
    assert "--data-binary" in command
    assert opened.weights(".cell") == pytest.approx(run(command, tmp_path)["attention"]["values"], abs=1e-5)


def test_patches_lie_where_the_boxes_say_and_nothing_outside_is_shaded(opened: PlaygroundPage, tmp_path: Path) -> None:
    Image.open(SCENE).convert("RGB").resize((300, 150)).save(tmp_path / "wide.png")
    upload(opened, tmp_path / "wide.png")
    boxes = answered(opened.url, (tmp_path / "wide.png").read_bytes())["grid"]["boxes_px"]
    drawn = opened.page.evaluate("""() => {
        const image = document.querySelector('.model-image').getBoundingClientRect();
        return [...document.querySelectorAll('.cell')].map((cell) => {
            const box = cell.getBoundingClientRect();
            return [box.left - image.left, box.top - image.top, box.right - image.left, box.bottom - image.top]
                .map((edge) => edge * 300 / image.width);
        });
    }""")
    for shown, box in zip(drawn, boxes, strict=True):
        assert shown == pytest.approx(box, abs=0.5)


def test_patch_shows_what_it_attends_to(opened: PlaygroundPage, tmp_path: Path) -> None:
    (tmp_path / "scene.png").write_bytes(SCENE.read_bytes())
    upload(opened, tmp_path / "scene.png")
    opened.page.select_option("#reduce", "raw")
    opened.page.select_option("#layer", "1")
    opened.page.select_option("#head", "2")
    opened.page.locator(".cell").nth(27).hover()
    opened.wait_for_readout("The patch in row 4")
    opened.page.locator(".cell").nth(27).click()
    opened.wait_for("document.getElementById('curl').textContent.includes('\"query\":28')")
    found = run(opened.page.inner_text("#curl"), tmp_path)["attention"]
    assert opened.weights(".cell") == pytest.approx(found["values"][0][0][1:], rel=2e-3, abs=1e-6)
    assert "CLS" in opened.page.inner_text("#prefix-weights")


def test_scene_is_picked_and_its_curl_fetches_it(opened: PlaygroundPage, tmp_path: Path) -> None:
    opened.page.locator(".thumb").nth(2).click()
    opened.page.wait_for_selector(".cell[data-weight]")
    opened.wait_until_idle()
    found = run(opened.page.inner_text("#curl"), tmp_path)
    assert opened.weights(".cell") == pytest.approx(found["attention"]["values"], abs=1e-5)
    before = opened.page.locator(".cell").first.evaluate("(cell) => getComputedStyle(cell).backgroundColor")
    opened.page.locator("#opacity").fill("10")
    after = opened.page.locator(".cell").first.evaluate("(cell) => getComputedStyle(cell).backgroundColor")
    assert before != after


def test_image_is_pasted(opened: PlaygroundPage) -> None:
    opened.page.evaluate("""async () => {
        const file = await (await fetch('playground/scenes/4.webp')).blob();
        const data = new DataTransfer();
        data.items.add(new File([file], 'pasted.png', {type: 'image/png'}));
        document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}));
    }""")
    opened.page.wait_for_selector(".cell[data-weight]")
    assert "pasted.png" in opened.page.inner_text("#curl")


def test_invalid_image_shows_error(opened: PlaygroundPage, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    opened.page.set_input_files("#file", tmp_path / "broken.png")
    opened.page.wait_for_selector("#error:not([hidden])")
    assert "not a supported image" in opened.page.inner_text("#error-text")


def test_words_find_the_scene_that_they_describe(opened: PlaygroundPage) -> None:
    scenes = httpx.get(f"{opened.url}/playground/scenes").json()["data"]
    opened.page.fill("#search", scenes[7]["caption"])
    opened.page.wait_for_selector("#search-results li")
    opened.wait_for("document.getElementById('search-note').textContent.startsWith('Nearest')")
    assert opened.page.locator("#search-results .label").first.inner_text() == scenes[7]["caption"]
    opened.page.locator("#search-results button").first.click()
    opened.page.wait_for_selector(".cell[data-weight]")
    assert opened.page.input_value("#model") == "scenes-vit"


def test_choosing_the_image_model_shows_it_a_scene(opened: PlaygroundPage) -> None:
    opened.page.select_option("#model", "scenes-vit")
    opened.page.wait_for_selector(".cell[data-weight]")
    opened.page.select_option("#model", "all-MiniLM-L6-v2")
    opened.page.wait_for_selector(".text .token")


def test_image_model_can_be_chosen_before_the_scenes_have_come(browser: Browser, both: Server) -> None:
    page = browser.new_page()
    opened = track_page(page, both.url)
    held: list[Route] = []
    page.route("**/playground/scenes", lambda route: held.append(route))
    page.goto(both.url)
    opened.wait_until_idle()
    page.select_option("#model", "scenes-vit")
    opened.wait_for("document.querySelectorAll('.thumb').length === 0")
    assert len(held) == 1, "asked for once"
    held[0].fallback()
    page.wait_for_selector(".cell[data-weight]")
    opened.wait_for("document.querySelectorAll('.thumb').length === 20")
    assert page.locator("#other-scene option").count() == 21, "and the one that is none"
    page.close()
    assert_no_errors(opened)
