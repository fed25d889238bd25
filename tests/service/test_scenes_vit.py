"""Tests of the two default models over HTTP: a text finds its image, and attention points at the object."""

from typing import Any

import httpx
import numpy as np

from models.scenes.rendering import Scene
from models.train.evaluation import held_out_scenes
from tests.conftest import MINILM
from tests.images import encode_pixels, to_data_url
from tests.server import Server


def ask(server: Server, model: str, items: list[Any], **options: object) -> list[dict[str, Any]]:
    answer = httpx.post(
        f"{server.url}/v1/embeddings", json={"model": model, "input": items, **options}, timeout=60
    ).raise_for_status()
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def to_image_inputs(scenes: list[Scene]) -> list[dict[str, str]]:
    return [{"image": to_data_url(encode_pixels(scene.pixels))} for scene in scenes]


def test_texts_and_images_share_a_space(both: Server) -> None:
    models = httpx.get(f"{both.url}/v1/models").json()["data"]
    assert {model["id"]: model["space"] for model in models} == {"scenes-vit": MINILM, MINILM: MINILM}
    scenes = held_out_scenes(100, single_object_fraction=0.5, side_px=128)
    seen = np.array([entry["embedding"] for entry in ask(both, "scenes-vit", to_image_inputs(scenes))])
    captions: list[Any] = [scene.description.caption for scene in scenes]
    said = np.array([entry["embedding"] for entry in ask(both, MINILM, captions)])
    assert (np.argmax(said @ seen.T, axis=1) == np.arange(100)).mean() >= 0.9


def test_attention_points_at_the_object_by_its_boxes(both: Server) -> None:
    scenes = held_out_scenes(50, single_object_fraction=1.0, side_px=200)
    hits = []
    for scene, entry in zip(scenes, ask(both, "scenes-vit", to_image_inputs(scenes), attention=True), strict=True):
        attention = entry["attention"]
        x0, y0, x1, y1 = attention["grid"]["boxes_px"][int(np.argmax(attention["values"]))]
        hits.append(scene.masks[0][round(y0) : round(y1), round(x0) : round(x1)].any())
    assert np.mean(hits) >= 0.96
