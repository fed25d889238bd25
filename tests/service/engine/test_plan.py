"""Tests of output plans: a model's outputs determine the attention that can be requested."""

import numpy as np
import pytest

from models.artifact import tensors
from models.artifact.arrays import Floats
from models.artifact.manifest import AttentionSpec, Deviation, EmbeddingSpec, GraphSpec, ImageSpec, Manifest, Parity
from models.preprocess.image import PreprocessedImage
from service.engine.plan import AttentionOptions, TokenEmbeddingPlan
from service.errors import InvalidParameter

IMAGE = ImageSpec(
    height_px=8,
    width_px=8,
    resize_px=(8, 8),
    interpolation="bilinear",
    transparency="white",
    grid=(2, 2),
    num_prefix_tokens=1,
)


def manifest(*heads: int) -> Manifest:
    """Make the manifest of an image model with `heads[i]` heads in layer i."""
    none = Deviation(graph=0, original=0, limit=0)
    unmeasured = Parity(
        num_inputs=1,
        exact_weights=0,
        embedding=none,
        embedding_cosine=none,
        token_embeddings=none,
        weights=None,
        relevance=None,
        batch_invariance=none,
    )
    return Manifest(
        name="any",
        modality="image",
        architecture="any",
        precision="fp32",
        embedding=EmbeddingSpec(dim=4, pooling="cls", normalize=True, token_embeddings="pooled", space="any"),
        attention=AttentionSpec(heads=heads) if heads else None,
        image=IMAGE,
        graph=GraphSpec(
            devices=("cpu",),
            outputs=tensors.graph_outputs(len(heads)),
            attention_operators=len(heads),
        ),
        parity=unmeasured,
        tools={},
        files={},
    )


@pytest.mark.parametrize(
    ("query", "param", "says"),
    [
        (AttentionOptions(reduce="raw"), "attention.layers", "2, 2, 4 heads"),
        (AttentionOptions(reduce="raw", layers=(2, 0)), "attention.layers", "4, 2 heads"),
        (AttentionOptions(reduce="raw", layers=(3,)), "attention.layers", "0 to 2"),
        (AttentionOptions(reduce="raw", layers=(2,), heads=(4,)), "attention.heads", "0 to 3"),
        (AttentionOptions(reduce="raw", heads=(2,)), "attention.heads", "0 to 1 in the chosen layers"),
        (AttentionOptions(layers=(0,)), "attention.layers", "raw"),
        (AttentionOptions(heads=(0,)), "attention.heads", "raw"),
        (AttentionOptions(reduce="raw", layers=(0, 0)), "attention.layers", "duplicates"),
        (AttentionOptions(reduce="raw", heads=(1, 0, 1), top_k=1), "attention.heads", "duplicates"),
    ],
)
def test_missing_layers_and_heads_are_refused(query: AttentionOptions, param: str, says: str) -> None:
    with pytest.raises(InvalidParameter, match=says) as refusal:
        query.plan(manifest(2, 2, 4))
    assert refusal.value.param == param


def test_vectors_of_positions_are_cut_from_padding() -> None:
    rows = np.random.default_rng(0).random((3, 6, 4), np.float32)
    plan = TokenEmbeddingPlan(width=4)
    cut = plan.extract({tensors.TOKEN_EMBEDDINGS: rows}, 1, 5)
    np.testing.assert_array_equal(cut, rows[1, :5])
    assert plan.response_bytes(5) == cut.nbytes
    assert cut.base is None, "a view would keep the batch alive"


def test_model_without_attention_is_asked_for_none() -> None:
    with pytest.raises(InvalidParameter, match="no attention") as refusal:
        AttentionOptions().plan(manifest())
    assert refusal.value.param == "attention"


IMAGE_FILE = PreprocessedImage(np.zeros((8, 8, 3), np.uint8), IMAGE.num_tokens, 8, 8, (0, 0, 8, 8))


@pytest.mark.parametrize(
    ("query", "shape"),
    [
        (AttentionOptions(), (4,)),
        (AttentionOptions(query=3), (4,)),
        (AttentionOptions(reduce="max", query="all"), (4, 4)),
        (AttentionOptions(reduce="max", query="all", top_k=3), (4, 3)),
        (AttentionOptions(top_k=9), (4,)),
        (AttentionOptions(reduce="raw", query="all", layers=(0, 1)), (2, 2, 5, 5)),
        (AttentionOptions(reduce="raw", query=4, layers=(2,)), (1, 4, 5)),
        (AttentionOptions(reduce="raw", query="pool", layers=(2, 0), heads=(1,)), (2, 1, 5)),
        (AttentionOptions(reduce="raw", query="pool", layers=(2,), top_k=2), (1, 4, 2)),
        (AttentionOptions(reduce="raw", query="all", heads="mean"), (3, 5, 5)),
        (AttentionOptions(reduce="raw", query="pool", heads="max"), (3, 5)),
        (AttentionOptions(reduce="raw", query=1, layers=(2, 0), heads="max", top_k=4), (2, 4)),
    ],
)
def test_reductions_are_over_patches_and_raw_weights_over_all_positions(
    query: AttentionOptions, shape: tuple[int, ...]
) -> None:
    plan = query.plan(manifest(2, 2, 4))
    rng = np.random.default_rng(0)
    arrays: dict[str, Floats] = {}
    for layer in range(3):
        raw = rng.random((3, len(plan.chosen_heads), 5, 5), np.float32)
        arrays |= {tensors.layer_weights(layer): raw, tensors.pooled_layer_weights(layer): raw[:, :, 0]}
        for how in tensors.COMBINATIONS:
            matrix = rng.random((3, 5, 5), np.float32)
            arrays |= {
                tensors.combined_heads(layer, how): matrix,
                tensors.pooled_combined_heads(layer, how): matrix[:, 0],
            }
    for reduction in tensors.REDUCTIONS:
        arrays[tensors.reduction_matrix(reduction)] = rng.random((3, 4, 4), np.float32)
        arrays[tensors.pooled_reduction(reduction)] = rng.random((3, 4), np.float32)
    assert set(plan.outputs) <= arrays.keys()
    cut = plan.extract(arrays, 1, IMAGE_FILE)
    assert cut.values.shape == shape
    assert plan.response_bytes(IMAGE.num_tokens) == cut.values.nbytes + (
        0 if cut.indices is None else cut.indices.nbytes
    )
    assert not any(np.shares_memory(cut.values, array) for array in arrays.values()), "a view would keep the batch"
    if query.reduce == "raw" and query.query == "pool" and query.heads == (1,):
        np.testing.assert_array_equal(cut.values[0, 0], arrays[tensors.layer_weights(2)][1, 0, 0])
    if query.heads == "mean":
        np.testing.assert_array_equal(cut.values[2], arrays[tensors.combined_heads(2, "mean")][1])


def test_heads_combined_need_not_be_equally_many() -> None:
    assert AttentionOptions(reduce="raw", query="all", heads="mean").plan(manifest(2, 2, 4)).outputs == tuple(
        tensors.combined_heads(layer, "mean") for layer in range(3)
    )


def test_images_have_no_words() -> None:
    with pytest.raises(InvalidParameter, match="text model") as refusal:
        AttentionOptions(words=True).plan(manifest(2))
    assert refusal.value.param == "attention.units"
