"""Tests of config entries that `transformers` drops or that cannot be packed: refused by file and entry."""

from pathlib import Path
from typing import Any

import pytest

from models.pretrained.errors import PretrainedError
from models.pretrained.text import load_text_model
from tests.export.sources import update_json
from tests.hf_text import write_text


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("qwen3", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, "'dynamic'.*batch"),
        ("qwen3", {"rope_parameters": None, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, "'dynamic'.*batch"),
        (
            "eurobert",
            {
                "rope_parameters": {
                    "rope_type": "longrope",
                    "rope_theta": 1e4,
                    "short_factor": [1.0] * 4,
                    "long_factor": [2.0] * 4,
                    "factor": 2.0,
                    "original_max_position_embeddings": 20,
                }
            },
            "'longrope'.*batch",
        ),
        ("gemma3_text", {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 8.0}}, "rope_type"),
        ("modernbert", {"rope_parameters": None, "rope_scaling": {"factor": 8.0}}, "rope_type"),
        ("qwen3", {"layer_types": ["full_attention", "sliding_attention"]}, "sliding_window None"),
        ("qwen3-sliding", {"is_causal": False}, "is_causal"),
        ("qwen3", {"use_bidirectional_attention": True}, "use_bidirectional_attention.*is_causal false instead"),
        ("qwen3", {"layer_types": ["full_attention", "chunked_attention"]}, "layer_types.*'chunked_attention'"),
        ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        ("deberta-v2", {"pos_att_type": ["c2p", "p2p"]}, "'p2p'.*known: c2p, p2c"),
    ],
    ids=str,
)
def test_entry_that_cannot_be_kept_is_refused(kind: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    source = write_text(kind, tmp_path)
    update_json(source / "config.json", **changes)
    with pytest.raises(PretrainedError, match=rf"config\.json has .*{message}") as refused:
        load_text_model(source, kind.partition("-s")[0], attention="eager")
    assert "\n" not in str(refused.value)
