"""What an answer's attention promises, held over HTTP on both default models.

Weights are shares of one item alone, rollout is the paper's, offsets are of the caller's own string, and boxes of the
caller's own image.
"""

import base64
import io
import random
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageOps
from tokenizers import Tokenizer

from models.artifact.tensors import Reduction
from models.pretrained.text import load_text_model
from models.scenes.rendering import Scene
from models.train.evaluation import held_out_scenes
from tests.conftest import MINILM
from tests.images import encode, encode_pixels, png_with_orientation, to_data_url
from tests.server import Server

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SCENES_VIT = "scenes-vit"
AT_ONCE = 50
"""Items of one request."""

SUM, HALF_SUM = 1e-5, 2e-3
"""How far from 1 a distribution may add up, in float32 and in float16."""

TEXTS = [
    "",
    "Short.",
    "A lighthouse keeper reads by the lamp.",
    "naïve café — 日本語 🙂 " * 6,
    "The lamp warns ships. " * 12,
]
LONG = "Ships that pass in the night, and speak each other in passing. " * 40


def ask(server: Server, model: str, items: Sequence[object], attention: object = True) -> list[dict[str, Any]]:
    body = {"model": model, "input": items, "attention": attention}
    answer = httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return [entry["attention"] for entry in answer.json()["data"]]


# Rollout, and what adds up.


@cache
def originals(source: Path, texts: tuple[str, ...]) -> list[list[Floats]]:
    """Each text's layers `[h, n, n]`, tokenized and run by transformers in float64."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source)
    model = load_text_model(source, "bert", attention="eager").double()
    with torch.no_grad():
        encoded = [tokenizer(text, return_tensors="pt", truncation=True, max_length=256) for text in texts]
        seen = [model(**inputs, output_attentions=True).attentions for inputs in encoded]
    return [[layer[0].numpy() for layer in layers] for layers in seen]


def rollout(layers: list[Floats]) -> Floats:
    """[n, n]: Abnar & Zuidema (2020), section 3, as it is written there."""
    rolled = np.eye(layers[0].shape[-1])
    for layer in layers:
        rolled = (0.5 * layer.mean(axis=0) + 0.5 * np.eye(len(rolled))) @ rolled
    return rolled


@pytest.mark.parametrize("at_once", [1, 6])
def test_rollout_equals_float64_reference(both: Server, minilm_source: Path, at_once: int) -> None:
    """Ragged texts together, so that some are padded, and each alone."""
    texts = (*TEXTS, LONG)
    for first in range(0, len(texts), at_once):
        asked = texts[first : first + at_once]
        expected = list(map(rollout, originals(minilm_source, texts)[first : first + at_once]))
        for query in ("pool", "all", 1):
            answers = ask(both, MINILM, asked, {"reduce": "rollout", "query": query})
            for got, matrix in zip(answers, expected, strict=True):
                wanted = {"pool": matrix.mean(axis=0), "all": matrix, 1: matrix[1]}[query]
                np.testing.assert_allclose(got["values"], wanted, rtol=0, atol=SUM)


@pytest.mark.parametrize("encoding", ["json", "base64"])
@pytest.mark.parametrize("query", ["pool", "all", 1])
@pytest.mark.parametrize("reduce", [*get_args(Reduction), "raw"])
def test_every_distribution_is_of_its_own_item_and_sums_to_one(
    both: Server, minilm_source: Path, reduce: str, query: object, encoding: str
) -> None:
    asked = {"reduce": reduce, "query": query, "encoding": encoding}
    lengths = [layers[0].shape[-1] for layers in originals(minilm_source, (*TEXTS, LONG))][: len(TEXTS)]
    assert len(set(lengths)) == len(TEXTS)
    pictures = [{"image": to_data_url(encode_pixels(scene.pixels))} for scene in scenes()[:3]]
    cells = 65 if reduce == "raw" else 64
    items = [*zip(lengths, ask(both, MINILM, TEXTS, asked), strict=True)]
    items += [(cells, answer) for answer in ask(both, SCENES_VIT, pictures, asked)]
    for n, answer in items:
        values = decoded(answer)
        assert values.shape[-1] == n
        assert values.ndim == (2 if reduce == "raw" else 0) + (2 if query == "all" else 1)
        assert query != "all" or values.shape[-2] == n
        np.testing.assert_allclose(values.sum(axis=-1), 1, rtol=0, atol=SUM if encoding == "json" else HALF_SUM)
        assert values.min() >= 0
        assert answer["tokens"] is None or len(answer["tokens"]) == n


def decoded(answer: dict[str, Any]) -> Floats:
    values = answer["values"]
    flat = np.frombuffer(base64.b64decode(values), "<f2") if isinstance(values, str) else np.array(values)
    assert list(flat.reshape(answer["shape"]).shape) == answer["shape"]
    return flat.reshape(answer["shape"]).astype(np.float64)


# Offsets.

PIECES = (
    *("lamp", "Lighthouse", "naïve", "CAFÉ", "Ångström", "İstanbul", "straße", "ﬁn", "x\u0301\u0323", "\u0301", "ﬀ"),
    *("👩‍👩‍👧", "👍🏽", "🏳️‍🌈", "🇫🇷", "🙂", "\u200d", "\ufe0f"),
    *("مرحبا", "بِسْمِ", "שָׁלוֹם", "שלום", "٣", "नमस्ते", "ไทย"),
    *("日本語", "漢", "東京タワー", "한국어", "각", "ো", "ൊ"),
    *("\0", "\x01", "\x7f", "\u200b", "\ufeff", "\u00ad", "\u2028", "\n", "\t", "\r\n", "\u00a0", "\u3000"),
    *(
        "!",
        "...",
        "—",
        "don't",
        "#",
        "123",
        "\U0001d538",
        "\u017f",
        "ς",
        "\ue000",
        "\U0010ffff",
        "q" * 40,
        "z" * 120,
        "##ing",
    ),
)
"""What a text is strung together of: pieces that a normalizer strips, drops, splits or joins."""


def strings(count: int) -> list[str]:
    """The same ones each time, in both normal forms."""
    source = random.Random(0)
    made = ("".join(source.choice(PIECES) + source.choice(("", "", " ")) for _ in range(i % 13)) for i in range(count))
    return [unicodedata.normalize(source.choice(("NFC", "NFD")), text) for text in made]


def test_offsets_refer_to_the_input_string(both: Server, minilm: Path) -> None:
    """Normalizing `text[start:end]` gives the token's text.

    The normalizer drops controls, joiners and combining marks. A dropped character between two characters of one token
    belongs to that token's slice; one between two tokens belongs to no slice. If one character becomes several tokens
    (a Hangul syllable becomes its letters), each token has the whole character as its slice, and the tokens together
    spell the normalized character.
    """
    tokenizer = Tokenizer.from_file(str(minilm / "tokenizer.json"))
    texts, joint, unknown = strings(500), 0, 0
    for text, answer in zip(texts, ask(both, MINILM, texts), strict=True):
        first, *inner, last = answer["tokens"]
        assert first == {"text": "[CLS]", "start": 0, "end": 0}
        assert last == {"text": "[SEP]", "start": 0, "end": 0}
        assert_in_order(inner, len(text))
        for tokens in sharing(inner):
            made_of = text[tokens[0]["start"] : max(token["end"] for token in tokens)]
            spelled = "".join(token["text"].removeprefix("##") for token in tokens)
            joint += len(tokens) > 1
            if spelled == "[UNK]":
                unknown += 1
                assert tokenizer.encode(made_of, add_special_tokens=False).tokens[:1] == ["[UNK]"]
            else:
                assert tokenizer.normalizer.normalize_str(made_of).strip() == spelled
    assert joint > 50
    assert unknown > 50


def assert_in_order(tokens: list[dict[str, Any]], length: int) -> None:
    """Never empty, never past the string, never back."""
    starts, ends = ([token[edge] for token in tokens] for edge in ("start", "end"))
    assert all(0 <= start < end <= length for start, end in zip(starts, ends, strict=True))
    assert starts == sorted(starts)
    assert ends == sorted(ends)


def sharing(tokens: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Tokens that have characters in common, together."""
    groups: list[list[dict[str, Any]]] = []
    for token in tokens:
        if groups and token["start"] < groups[-1][-1]["end"]:
            groups[-1].append(token)
        else:
            groups.append([token])
    return groups


def test_special_token_in_input_has_offsets(both: Server) -> None:
    (answer,) = ask(both, MINILM, ["say [SEP] aloud"])
    assert [token["end"] - token["start"] for token in answer["tokens"]] == [0, 3, 5, 5, 0]


# Boxes: the pointing game, as models.train.evaluation plays it, by what the answer alone says.

FOUND = 0.98
FOUND_SQUEEZED = 0.95

Posted = tuple[bytes, Mask]
"""An image file, and where the object is in the image as one sees it, `[y, x]`."""


@cache
def scenes() -> list[Scene]:
    return held_out_scenes(500, single_object_fraction=1.0, side_px=128)


def found(server: Server, posted: list[Posted]) -> float:
    """The share of images in which the box of the largest weight holds the center of a px of the object."""
    hits = []
    for first in range(0, len(posted), AT_ONCE):
        part = posted[first : first + AT_ONCE]
        answers = ask(server, SCENES_VIT, [{"image": to_data_url(file)} for file, _ in part])
        for answer, (_, mask) in zip(answers, part, strict=True):
            boxes = np.array(answer["grid"]["boxes_px"])
            np.testing.assert_allclose([*boxes[0, :2], *boxes[-1, 2:]], [0, 0, *mask.shape[::-1]], atol=1e-6)
            x0, y0, x1, y1 = np.ceil(boxes[np.argmax(answer["values"])] - 0.5).astype(int)
            hits.append(mask[y0:y1, x0:x1].any())
    return float(np.mean(hits))


def scaled(scene: Scene, size: tuple[int, int]) -> tuple[Image.Image, Mask]:
    mask = Image.fromarray(scene.masks[0]).resize(size, Image.Resampling.NEAREST)
    return Image.fromarray(scene.pixels).resize(size, Image.Resampling.BICUBIC), np.asarray(mask)


@pytest.mark.parametrize("size", [(128, 128), (300, 200), (97, 211), (640, 480)])
def test_largest_weight_is_on_the_object_in_images_of_any_size(both: Server, size: tuple[int, int]) -> None:
    """Measured: 0.994 in each."""
    pictures = [scaled(scene, size) for scene in scenes()]
    assert found(both, [(encode(image, "JPEG", quality=90), mask) for image, mask in pictures]) >= FOUND


def test_max_weight_with_exif_orientation(both: Server) -> None:
    """Boxes are of the upright image, which is no square, so that a side taken for the other is seen."""
    posted = []
    for index, scene in enumerate(scenes()):
        image, mask = scaled(scene, (150, 100))
        file = png_with_orientation(image.transpose(STORED[2 + index % 7]), 2 + index % 7)
        assert ImageOps.exif_transpose(Image.open(io.BytesIO(file))).tobytes() == image.tobytes()
        posted.append((file, mask))
    assert found(both, posted) >= FOUND


STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an image lies in the file of each EXIF orientation."""


@pytest.mark.parametrize("size", [(128, 85), (59, 128)])
def test_objects_that_the_model_sees_squeezed_are_found_less_often(both: Server, size: tuple[int, int]) -> None:
    """Parts of a scene that are no squares, which the model takes as squares: no scene of its training was squeezed.

    Measured: 0.970 and 0.958. It is the model, not the boxes: scenes stretched to the same form, which it sees as it
    was trained to, give 0.994.
    """
    source = np.random.default_rng(0)
    posted = []
    for scene in scenes():
        (mask,) = scene.masks
        x, y = (_start(mask.any(axis=axis), side, source) for axis, side in enumerate(size))
        part = slice(y, y + size[1]), slice(x, x + size[0])
        posted.append((encode_pixels(scene.pixels[part]), mask[part]))
    assert found(both, posted) >= FOUND_SQUEEZED


def _start(occupied: Mask, side: int, source: np.random.Generator) -> int:
    """Where a part of that side begins that has all of the object in it."""
    where = np.flatnonzero(occupied)
    least, most = max(0, int(where[-1]) + 1 - side), min(len(occupied) - side, int(where[0]))
    return int(source.integers(least, most + 1))
