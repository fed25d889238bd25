"""Vectors of positions as a graph gives them: what they add up to, and what they do not depend on.

Letters: n positions of one item, e embedding width.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from export import parity
from export.errors import ParityError
from export.onnx_graph_utils import all_nodes
from export.options import ExportOptions
from export.targets.loader import load_target
from models.artifact import tensors
from models.artifact.arrays import Floats, InputArray
from service.runtime.encoder import OUTPUT_AND_TOKENS, OUTPUT_ONLY, AnyEncoder, open_encoder
from tests.checkpoints import WORDS, write_bert
from tests.encoders import random_images, write_checkpoint
from tests.export_cache import ExportCache
from tests.hf_text import write_text

RAGGED = (7, 1, 30, 12)

POOLS: dict[str, Callable[[Floats], Floats]] = {
    "mean": lambda rows: rows.mean(axis=0),
    "cls_token": lambda rows: rows[0],
    "lasttoken": lambda rows: rows[-1],
}


def texts() -> list[InputArray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, len(WORDS), n) for n in RAGGED]


def rows(encoder: AnyEncoder, items: list[InputArray]) -> list[Floats]:
    """[n, e] of each item of one batch."""
    found = encoder.run(items, OUTPUT_AND_TOKENS)
    text = encoder.manifest.text is not None
    lengths = [len(item) if text else encoder.max_positions for item in items]
    return [array[:n] for array, n in zip(found[tensors.TOKEN_EMBEDDINGS], lengths, strict=True)]


@pytest.mark.parametrize("pooling", POOLS)
def test_pooling_of_a_texts_tokens_is_its_embedding(pooling: str, exports: ExportCache, tmp_path: Path) -> None:
    source = write_bert(tmp_path, pooling=pooling, normalize=pooling != "cls_token")
    encoder = open_encoder(exports(source, "tiny"), device="cpu")
    found = rows(encoder, texts())
    pooled = np.stack([POOLS[pooling](each) for each in found])
    embeddings = encoder.run(texts())[tensors.OUTPUT]
    np.testing.assert_allclose(pooled, embeddings, atol=1e-5)
    np.testing.assert_allclose(encoder.postprocess(pooled), encoder.postprocess(embeddings), atol=1e-5)
    assert np.abs(np.diff(found[2], axis=0)).max() > 0.01, "one vector for all"


def test_head_after_pooling_is_applied_to_each_token(exports: ExportCache, tmp_path: Path) -> None:
    artifact = exports(write_text("clip", tmp_path), "clip", ExportOptions(modality="text"))
    encoder = open_encoder(artifact, device="cpu")
    found = rows(encoder, texts())
    assert [each.shape for each in found] == [(n, 24) for n in RAGGED], "states are 32 wide"
    pooled = np.stack([each[ids.argmax()] for each, ids in zip(found, texts(), strict=True)])  # the first largest id
    np.testing.assert_allclose(pooled, encoder.run(texts())[tensors.OUTPUT], atol=1e-5)


@pytest.mark.parametrize(("name", "prefix"), [("vit", 1), ("alternet", 0), ("conv", 0)])
def test_image_has_a_vector_for_each_patch(name: str, prefix: int, exports: ExportCache, tmp_path: Path) -> None:
    encoder = open_encoder(exports(write_checkpoint(name, tmp_path), name), device="cpu")
    items = list(random_images(3).numpy())
    found = np.stack(rows(encoder, items))
    spec = encoder.manifest.image
    assert spec is not None
    assert spec.num_prefix_tokens == prefix
    assert found.shape == (3, spec.num_tokens, 32)
    pooled = found[:, 0] if prefix else found.mean(axis=1)
    np.testing.assert_allclose(pooled, encoder.run(items)[tensors.OUTPUT], atol=1e-5)
    assert found.std(axis=1).min() > 1e-4, "one vector for all"
    if name == "alternet":  # its last map has 2 x 2 cells, upsampled to 8 x 8
        cells = found.reshape(3, 2, 4, 2, 4, 32)
        np.testing.assert_array_equal(cells, np.broadcast_to(cells[:, :, :1, :, :1], cells.shape))


def test_token_embeddings_depend_on_neither_batch_nor_other_outputs(tiny: Path) -> None:
    encoder = open_encoder(tiny, device="cpu")
    together = rows(encoder, texts())
    for item, by_itself in zip(texts(), together, strict=True):
        np.testing.assert_allclose(rows(encoder, [item])[0], by_itself, atol=1e-5)
    asked = (*OUTPUT_AND_TOKENS, tensors.pooled_reduction("rollout"))
    np.testing.assert_array_equal(
        encoder.run(texts(), asked)[tensors.TOKEN_EMBEDDINGS],
        encoder.run(texts(), OUTPUT_AND_TOKENS)[tensors.TOKEN_EMBEDDINGS],
    )
    np.testing.assert_array_equal(
        encoder.run(texts(), OUTPUT_AND_TOKENS)[tensors.OUTPUT],
        encoder.run(texts(), OUTPUT_ONLY)[tensors.OUTPUT],
    )


def test_token_embeddings_add_no_layer(tiny: Path) -> None:
    """The branch contains no layers of its own: the graph pools the token embeddings anyway."""
    graph = onnx.load(tiny / "model.onnx", load_external_data=False).graph
    operators = {node.name: node.op_type for node in all_nodes(graph) if node.name.startswith("token_embeddings")}
    assert not {"MatMul", "Gemm", "Softmax", "Attention"} & set(operators.values())


def test_rows_that_are_others_fail_parity(tiny: Path, tiny_source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = parity._run

    def shuffled(*args: object) -> parity.Outputs:
        answers = run(*args)  # type: ignore[arg-type]
        return {name: x[:, ::-1] if name == tensors.TOKEN_EMBEDDINGS else x for name, x in answers.items()}

    monkeypatch.setattr(parity, "_run", shuffled)
    with pytest.raises(ParityError, match="token_embeddings"):
        parity.check_tolerances(parity.measure(tiny, load_target(tiny_source, ExportOptions())))
