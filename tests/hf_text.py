"""Tiny text encoders of Hugging Face architectures with random weights, as `save_pretrained` writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from models.artifact.specs import Task
from models.pretrained.heads import HEAD_CLASSES
from tests import trained_weights
from tests.checkpoints import CLS, PAD, SEP, WORDS, write_tokenizer

_SIZES: dict[str, Any] = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
_IDS: dict[str, Any] = {"pad_token_id": PAD, "bos_token_id": CLS, "eos_token_id": SEP}
_SPECIAL_TOKEN_IDS: dict[str, Any] = {"cls_token_id": CLS, "sep_token_id": SEP, "mask_token_id": SEP}
_VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 16,
}
_DEBERTA_V3: dict[str, Any] = {
    "relative_attention": True,
    "position_buckets": 8,  # of distances up to 40: all but the nearest three share one
    "pos_att_type": "p2c|c2p",
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
}
_GEMMA: dict[str, Any] = {
    "num_key_value_heads": 2,
    "head_dim": 12,
    "query_pre_attn_scalar": 20,
    "layer_types": ["sliding_attention", "full_attention"],
    "rope_local_base_freq": 100.0,
    "rope_theta": 1000.0,
}

_WEIGHT_STD = {"mobilebert": 0.15}
"""Of the weights: without norms, larger ones make states that no float32 is exact about."""

CONFIGS: dict[str, Any] = {
    "bert": lambda: transformers.BertConfig(**_SIZES),
    "ernie": lambda: transformers.ErnieConfig(**_SIZES),
    "electra": lambda: transformers.ElectraConfig(**_SIZES, embedding_size=16),
    "roberta": lambda: transformers.RobertaConfig(**_SIZES, pad_token_id=1),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(**_SIZES, pad_token_id=1),
    "camembert": lambda: transformers.CamembertConfig(**_SIZES, pad_token_id=1),
    "data2vec-text": lambda: transformers.Data2VecTextConfig(**_SIZES, pad_token_id=1),
    "xlm-roberta-xl": lambda: transformers.XLMRobertaXLConfig(**_SIZES, pad_token_id=1),
    "roberta-prelayernorm": lambda: transformers.RobertaPreLayerNormConfig(**_SIZES, pad_token_id=1),
    "distilbert": lambda: transformers.DistilBertConfig(
        vocab_size=len(WORDS), dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=40
    ),
    "mpnet": lambda: transformers.MPNetConfig(**_SIZES),
    "modernbert": lambda: transformers.ModernBertConfig(
        **_SIZES, **_IDS, **_SPECIAL_TOKEN_IDS, local_attention=8, global_attn_every_n_layers=2
    ),
    "nomic_bert": lambda: transformers.NomicBertConfig(**_SIZES, **_IDS),
    "gte": lambda: transformers.GteConfig(**_SIZES, **_IDS),
    "eurobert": lambda: transformers.EuroBertConfig(**_SIZES, **_IDS, mask_token_id=SEP, num_key_value_heads=2),
    "clip": lambda: transformers.CLIPConfig(text_config={**_SIZES, **_IDS}, vision_config=_VISION, projection_dim=24),
    "siglip": lambda: transformers.SiglipConfig(
        text_config={**_SIZES, **_IDS, "projection_size": 32}, vision_config=_VISION
    ),
    "siglip2": lambda: transformers.Siglip2Config(
        text_config={**_SIZES, **_IDS, "projection_size": 24},
        vision_config={**_VISION, "num_patches": 4},
    ),
    "albert": lambda: transformers.AlbertConfig(**_SIZES, **_IDS, embedding_size=16, num_hidden_groups=2),
    "deberta-v2": lambda: transformers.DebertaV2Config(**_SIZES, **_DEBERTA_V3),
    "mobilebert": lambda: transformers.MobileBertConfig(
        **_SIZES, embedding_size=16, intra_bottleneck_size=16, num_feedforward_networks=2
    ),
    "qwen3": lambda: transformers.Qwen3Config(**_SIZES, **_IDS, num_key_value_heads=2, head_dim=12),
    "gemma3_text": lambda: transformers.Gemma3TextConfig(
        **_SIZES, **_IDS, **_GEMMA, use_bidirectional_attention=True, sliding_window=8
    ),
}
"""By `model_type`."""

VARIANTS: dict[str, Any] = {
    "siglip-2": lambda: transformers.SiglipConfig(  # as google/siglip2-giant-opt-patch16-256, whose text tower widens
        text_config={
            **_SIZES,
            "vocab_size": 2 * len(WORDS),
            "max_position_embeddings": 64,
            "projection_size": 48,
            "bos_token_id": 2,
            "eos_token_id": 1,
            "pad_token_id": 0,
        },
        vision_config={**_VISION, "hidden_size": 48},
    ),
    "albert-inner": lambda: transformers.AlbertConfig(
        **{**_SIZES, "num_hidden_layers": 3}, embedding_size=24, num_hidden_groups=2, inner_group_num=2
    ),
    "deberta-v2-xlarge": lambda: transformers.DebertaV2Config(
        **_SIZES, **{**_DEBERTA_V3, "pos_att_type": ["c2p", "p2c"]}, conv_kernel_size=3, conv_act="gelu"
    ),
    "deberta-v2-wide-kernel": lambda: transformers.DebertaV2Config(
        **_SIZES, **_DEBERTA_V3, conv_kernel_size=5, conv_groups=2, embedding_size=16
    ),
    "deberta-v2-own-projections": lambda: transformers.DebertaV2Config(
        **_SIZES, **{**_DEBERTA_V3, "share_att_key": False, "norm_rel_ebd": "none"}, type_vocab_size=2
    ),
    "deberta-v2-no-buckets": lambda: transformers.DebertaV2Config(
        **_SIZES, **{**_DEBERTA_V3, "position_buckets": -1, "max_relative_positions": 6}
    ),
    "deberta-v2-one-term": lambda: transformers.DebertaV2Config(
        **_SIZES, **{**_DEBERTA_V3, "pos_att_type": "p2c", "share_att_key": False, "position_biased_input": True}
    ),
    "deberta-v2-absolute": lambda: transformers.DebertaV2Config(
        **_SIZES, **{**_DEBERTA_V3, "relative_attention": False, "position_biased_input": True}
    ),
    "mobilebert-plain": lambda: transformers.MobileBertConfig(
        **_SIZES, embedding_size=16, use_bottleneck=False, normalization_type="layer_norm"
    ),
    "mobilebert-no-trigram": lambda: transformers.MobileBertConfig(
        **_SIZES, embedding_size=16, trigram_input=False, intra_bottleneck_size=16, use_bottleneck_attention=True
    ),
    "qwen3-sliding": lambda: transformers.Qwen3Config(
        **_SIZES,
        **_IDS,
        num_key_value_heads=1,
        head_dim=8,
        use_sliding_window=True,
        sliding_window=5,
        max_window_layers=1,
    ),
    "qwen3-bidirectional": lambda: transformers.Qwen3Config(
        **_SIZES, **_IDS, num_key_value_heads=4, head_dim=8, attention_bias=True, is_causal=False
    ),
    "qwen3-yarn": lambda: transformers.Qwen3Config(
        **_SIZES,
        **_IDS,
        head_dim=16,
        num_key_value_heads=2,
        rope_theta=5000.0,
        rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 10},
    ),
    "gemma3_text-causal": lambda: transformers.Gemma3TextConfig(**_SIZES, **_IDS, **_GEMMA, sliding_window=5),
    "gemma3_text-odd": lambda: transformers.Gemma3TextConfig(
        **_SIZES, **_IDS, **_GEMMA, use_bidirectional_attention=True, sliding_window=5
    ),
}
"""What else is trained in these architectures, by names of our own."""


def write_text(
    kind: str,
    directory: Path,
    *,
    seed: int = 0,
    config: Any = None,
    like_trained: bool = True,
    task: Task = "embed",
    labels: Sequence[str] = (),
) -> Path:
    """A checkpoint whose every weight is far from its first value, so that no part of it can be left out unseen.

    `config` is the kind's own unless given. The weights behave as trained ones do (`tests.trained_weights`), unless not
    `like_trained`: where float32 is compared with float32. With another `task` than embed it has its head, of `labels`
    if it has some.
    """
    torch.manual_seed(seed)
    config = config or (CONFIGS | VARIANTS)[kind]()
    if labels:
        config.id2label = dict(enumerate(labels))
    model = (transformers.AutoModel if task == "embed" else HEAD_CLASSES["text", task]).from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(
                parameter + noise / 10 if parameter.ndim == 1 else noise * _WEIGHT_STD.get(kind.partition("-")[0], 0.3)
            )
    if like_trained:
        trained_weights.imitate_trained(model)
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    write_tokenizer(directory)
    return directory
