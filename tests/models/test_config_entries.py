"""Tests of entries of config.json: read, harmless, or refused because they would be dropped."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from models.pretrained.config_entries import check_entries
from models.pretrained.errors import PretrainedError

_BERT: dict[str, Any] = {
    "model_type": "bert", "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": False, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072,
    "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 12,
    "pad_token_id": 0, "position_embedding_type": "absolute", "torch_dtype": "float32", "type_vocab_size": 2,
    "use_cache": True, "vocab_size": 30522, "classifier_dropout": None, "transformers_version": "4.8.2",
}  # fmt: skip
_POOLER = {
    "directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12, "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128, "pooler_type": "first_token_transform",
}  # fmt: skip
_ROBERTA = {**_BERT, "model_type": "roberta", "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1,
            "max_position_embeddings": 514, "vocab_size": 50265, "layer_norm_eps": 1e-05}  # fmt: skip
_XLM_R = {**_ROBERTA, "model_type": "xlm-roberta", "output_past": True, "vocab_size": 250002}
_DISTILBERT = {
    "model_type": "distilbert", "activation": "gelu", "attention_dropout": 0.1, "dim": 768, "dropout": 0.1,
    "hidden_dim": 3072, "max_position_embeddings": 512, "n_heads": 12, "n_layers": 6, "output_hidden_states": True,
    "output_past": True, "pad_token_id": 0, "qa_dropout": 0.1, "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False,
    "tie_weights_": True, "vocab_size": 119547, "finetuning_task": None, "pruned_heads": {}, "torchscript": False,
}  # fmt: skip
_NOMIC = {
    "model_type": "nomic_bert", "activation_function": "swiglu", "attn_pdrop": 0.0, "bos_token_id": None,
    "causal": False,
    "dense_seq_output": True, "embd_pdrop": 0.0, "eos_token_id": None, "fused_bias_fc": True,
    "fused_dropout_add_ln": True, "initializer_range": 0.02, "layer_norm_epsilon": 1e-12, "max_trained_positions": 2048,
    "mlp_fc1_bias": False, "mlp_fc2_bias": False, "n_embd": 768, "n_head": 12, "n_inner": 3072, "n_layer": 12,
    "n_positions": 8192, "pad_vocab_size_multiple": 64, "parallel_block": False, "parallel_block_tied_norm": False,
    "prenorm": False, "qkv_proj_bias": False, "reorder_and_upcast_attn": False, "resid_pdrop": 0.0,
    "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None, "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True,
    "summary_activation": None, "summary_first_dropout": 0.0, "summary_proj_to_labels": True,
    "summary_type": "cls_index", "summary_use_proj": True, "type_vocab_size": 2, "use_cache": True,
    "use_flash_attn": True, "use_rms_norm": False, "use_xentropy": True, "vocab_size": 30528,
}  # fmt: skip
_MODERNBERT = {
    "model_type": "modernbert", "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 50281,
    "classifier_activation": "gelu", "classifier_bias": False, "classifier_dropout": 0.0, "classifier_pooling": "mean",
    "cls_token_id": 50281, "decoder_bias": True, "deterministic_flash_attn": False, "embedding_dropout": 0.0,
    "eos_token_id": 50282, "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0,
    "gradient_checkpointing": False,
    "hidden_activation": "gelu", "hidden_size": 768, "initializer_cutoff_factor": 2.0, "initializer_range": 0.02,
    "intermediate_size": 1152, "layer_norm_eps": 1e-05, "local_attention": 128, "local_rope_theta": 10000.0,
    "max_position_embeddings": 8192, "mlp_bias": False, "mlp_dropout": 0.0, "norm_bias": False, "norm_eps": 1e-05,
    "num_attention_heads": 12, "num_hidden_layers": 22, "pad_token_id": 50283, "position_embedding_type": "absolute",
    "reference_compile": False, "repad_logits_with_grad": False, "sep_token_id": 50282,
    "sparse_pred_ignore_index": -100,
    "sparse_prediction": False, "vocab_size": 50368,
}  # fmt: skip
_EUROBERT = {
    "model_type": "eurobert", "attention_bias": False, "attention_dropout": 0.0, "bos_token": "<|begin_of_text|>",
    "bos_token_id": 128000, "clf_pooling": "late", "eos_token": "<|end_of_text|>", "eos_token_id": 128001,
    "head_dim": 64,
    "hidden_act": "silu", "hidden_dropout": 0.0, "hidden_size": 768, "initializer_range": 0.02,
    "intermediate_size": 3072,
    "mask_token": "<|mask|>", "mask_token_id": 128002, "max_position_embeddings": 8192, "mlp_bias": False,
    "num_attention_heads": 12, "num_hidden_layers": 12, "num_key_value_heads": 12, "pad_token": "<|end_of_text|>",
    "pad_token_id": 128001, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 250000,
    "tie_word_embeddings": False, "use_cache": False, "vocab_size": 128256,
}  # fmt: skip
_GTE = {
    "model_type": "gte", "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": 768, "intermediate_size": 3072, "layer_norm_eps": 1e-12,
    "layer_norm_type": "layer_norm", "logn_attention_clip1": False, "logn_attention_scale": False,
    "max_position_embeddings": 8192, "num_attention_heads": 12, "num_hidden_layers": 12, "pack_qkv": True,
    "pad_token_id": 1, "position_embedding_type": "rope", "rope_scaling": None, "rope_theta": 160000,
    "type_vocab_size": 1, "unpad_inputs": False, "use_memory_efficient_attention": False, "vocab_size": 250048,
}  # fmt: skip
_QWEN3 = {
    "model_type": "qwen3", "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151643, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02,
    "intermediate_size": 3072, "max_position_embeddings": 32768, "max_window_layers": 28, "num_attention_heads": 16,
    "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": None,
    "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    "use_cache": True, "use_sliding_window": False, "vocab_size": 151669,
}  # fmt: skip
_GEMMA = {
    "model_type": "gemma3_text", "_sliding_window_pattern": 6, "attention_bias": False, "attention_dropout": 0.0,
    "attn_logit_softcapping": None, "bos_token_id": 2, "dtype": "float32", "eos_token_id": 1,
    "final_logit_softcapping": None, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 768,
    "initializer_range": 0.02, "intermediate_size": 1152, "max_position_embeddings": 2048, "num_attention_heads": 3,
    "num_hidden_layers": 24, "num_key_value_heads": 1, "pad_token_id": 0, "query_pre_attn_scalar": 256,
    "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0, "rope_scaling": None, "rope_theta": 1000000.0,
    "sliding_window": 512, "use_bidirectional_attention": True, "use_cache": True, "vocab_size": 262144,
}  # fmt: skip
_DEBERTA = {
    "model_type": "deberta-v2", "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 512,
    "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "pos_att_type": "p2c|c2p", "layer_norm_eps": 1e-07, "max_relative_positions": -1, "position_biased_input": False,
    "num_attention_heads": 12, "num_hidden_layers": 12, "type_vocab_size": 0, "vocab_size": 128100,
    "pooler_dropout": 0, "pooler_hidden_act": "gelu", "pooler_hidden_size": 768,
}  # fmt: skip
_ALBERT = {
    "model_type": "albert", "attention_probs_dropout_prob": 0, "bos_token_id": 2, "classifier_dropout_prob": 0.1,
    "down_scale_factor": 1, "embedding_size": 128, "eos_token_id": 3, "gap_size": 0, "hidden_act": "gelu_new",
    "hidden_dropout_prob": 0, "hidden_size": 768, "initializer_range": 0.02, "inner_group_num": 1,
    "intermediate_size": 3072, "layer_norm_eps": 1e-12, "layers_to_keep": [], "max_position_embeddings": 512,
    "net_structure_type": 0, "num_attention_heads": 12, "num_hidden_groups": 1, "num_hidden_layers": 12,
    "num_memory_blocks": 0, "pad_token_id": 0, "type_vocab_size": 2, "vocab_size": 30000,
}  # fmt: skip
_VIT = {
    "model_type": "vit", "attention_probs_dropout_prob": 0.0, "encoder_stride": 16, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0, "hidden_size": 768, "id2label": {"0": "tench"}, "image_size": 224,
    "initializer_range": 0.02, "intermediate_size": 3072, "label2id": {"tench": 0}, "layer_norm_eps": 1e-12,
    "num_attention_heads": 12, "num_channels": 3, "num_hidden_layers": 12, "patch_size": 16, "qkv_bias": True,
}  # fmt: skip
_BEIT = {
    **_VIT, "model_type": "beit", "auxiliary_channels": 256, "auxiliary_concat_input": False,
    "auxiliary_loss_weight": 0.4, "auxiliary_num_convs": 1, "drop_path_rate": 0.1, "layer_scale_init_value": 0.1,
    "out_indices": [3, 5, 7, 11], "pool_scales": [1, 2, 3, 6], "semantic_loss_ignore_index": 255,
    "use_absolute_position_embeddings": False, "use_auxiliary_head": True, "use_mask_token": False,
    "use_mean_pooling": True, "use_relative_position_bias": True, "use_shared_relative_position_bias": False,
    "vocab_size": 8192,
}  # fmt: skip
_DINOV2 = {
    "model_type": "dinov2", "apply_layernorm": True, "attention_probs_dropout_prob": 0.0, "drop_path_rate": 0.0,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "hidden_size": 768, "image_size": 518, "initializer_range": 0.02,
    "layer_norm_eps": 1e-06, "layerscale_value": 1.0, "mlp_ratio": 4, "num_attention_heads": 12, "num_channels": 3,
    "num_hidden_layers": 12, "out_features": ["stage12"], "out_indices": [12], "patch_size": 14, "qkv_bias": True,
    "reshape_hidden_states": True, "stage_names": ["stem", *(f"stage{i}" for i in range(1, 13))],
    "use_swiglu_ffn": False,
}  # fmt: skip
_DINOV3 = {
    "model_type": "dinov3_vit", "attention_dropout": 0.0, "drop_path_rate": 0.0, "hidden_act": "gelu",
    "hidden_size": 384, "image_size": 224, "initializer_range": 0.02, "intermediate_size": 1536, "key_bias": False,
    "layer_norm_eps": 1e-05, "layerscale_value": 1.0, "mlp_bias": True, "num_attention_heads": 6, "num_channels": 3,
    "num_hidden_layers": 12, "num_register_tokens": 4, "patch_size": 16, "pos_embed_jitter": None,
    "pos_embed_rescale": 2.0, "pos_embed_shift": None, "proj_bias": True, "query_bias": True, "rope_theta": 100.0,
    "use_gated_mlp": False, "value_bias": True,
}  # fmt: skip
_SWIN = {
    "model_type": "swin", "attention_probs_dropout_prob": 0.0, "depths": [2, 2, 6, 2], "drop_path_rate": 0.1,
    "embed_dim": 96, "encoder_stride": 32, "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "hidden_size": 768,
    "image_size": 224, "initializer_range": 0.02, "layer_norm_eps": 1e-05, "mlp_ratio": 4.0, "num_channels": 3,
    "num_heads": [3, 6, 12, 24], "num_layers": 4, "patch_size": 4, "path_norm": True, "qkv_bias": True,
    "use_absolute_embeddings": False, "window_size": 7,
}  # fmt: skip
_GENERATION: dict[str, Any] = {
    "add_cross_attention": False, "bad_words_ids": None, "cross_attention_hidden_size": None, "diversity_penalty": 0.0,
    "encoder_no_repeat_ngram_size": 0, "is_decoder": False, "is_encoder_decoder": False, "length_penalty": 1.0,
    "max_length": 20, "num_beam_groups": 1, "output_attentions": False, "prefix": None, "pruned_heads": {},
    "remove_invalid_values": False, "return_dict": True, "task_specific_params": None, "tf_legacy_loss": False,
    "tie_encoder_decoder": False, "tokenizer_class": None, "top_k": 50, "torchscript": False, "use_bfloat16": False,
}  # fmt: skip
_CLIP_TEXT = {
    **_GENERATION, "model_type": "clip_text_model", "attention_dropout": 0.0, "dropout": 0.0,
    "hidden_act": "quick_gelu",
    "hidden_size": 512, "initializer_factor": 1.0, "initializer_range": 0.02, "intermediate_size": 2048,
    "layer_norm_eps": 1e-05, "max_position_embeddings": 77, "num_attention_heads": 8, "num_hidden_layers": 12,
    "pad_token_id": 1, "projection_dim": 512, "vocab_size": 49408,
}  # fmt: skip
_CLIP_VISION = {
    **_GENERATION, "model_type": "clip_vision_model", "attention_dropout": 0.0, "dropout": 0.0,
    "hidden_act": "quick_gelu", "hidden_size": 768, "image_size": 224, "intermediate_size": 3072,
    "layer_norm_eps": 1e-05, "num_attention_heads": 12, "num_channels": 3, "num_hidden_layers": 12, "patch_size": 32,
    "projection_dim": 512,
}  # fmt: skip
_CLIP = {
    "model_type": "clip", "initializer_factor": 1.0, "logit_scale_init_value": 2.6592, "projection_dim": 512,
    "text_config": _CLIP_TEXT, "text_config_dict": {"hidden_size": 512}, "vision_config": _CLIP_VISION,
    "vision_config_dict": {"patch_size": 32},
}  # fmt: skip
_SIGLIP = {
    "model_type": "siglip", "initializer_factor": 1.0,
    "text_config": {"hidden_act": "gelu_pytorch_tanh", "hidden_size": 768, "intermediate_size": 3072,
                    "layer_norm_eps": 1e-06, "max_position_embeddings": 64, "model_type": "siglip_text_model",
                    "num_attention_heads": 12, "num_hidden_layers": 12, "vocab_size": 32000},
    "vision_config": {"image_size": 224, "model_type": "siglip_vision_model", "patch_size": 16},
}  # fmt: skip

KNOWN: dict[str, dict[str, Any]] = {
    "BAAI/bge-base-en-v1.5": {**_BERT, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}},
    "intfloat/e5-base-v2": {**_BERT, "_name_or_path": "tmp/", "torch_dtype": "float32"},
    "intfloat/multilingual-e5-base": {**_XLM_R, "use_cache": True},
    "thenlper/gte-base": {**_BERT, "torch_dtype": "float16"},
    "mixedbread-ai/mxbai-embed-large-v1": {**_BERT, "use_cache": False, "hidden_size": 1024, "num_attention_heads": 16},
    "Snowflake/snowflake-arctic-embed-m": {**_BERT, **_GENERATION},
    "sentence-transformers/all-MiniLM-L6-v2": {**_BERT, "hidden_size": 384, "num_hidden_layers": 6},
    "sentence-transformers/all-mpnet-base-v2": {
        "model_type": "mpnet", "attention_probs_dropout_prob": 0.1, "bos_token_id": 0, "eos_token_id": 2,
        "gradient_checkpointing": False, "hidden_act": "gelu", "hidden_size": 768, "layer_norm_eps": 1e-05,
        "max_position_embeddings": 514, "pad_token_id": 1, "relative_attention_num_buckets": 32, "vocab_size": 30527,
    },
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": {**_BERT, "hidden_size": 384, "vocab_size": 250037},
    "sentence-transformers/LaBSE": {**_BERT, **_POOLER, "vocab_size": 501153},
    "sentence-transformers/distiluse-base-multilingual-cased-v2": _DISTILBERT,
    "google-bert/bert-base-multilingual-cased": {**_BERT, **_POOLER},
    "FacebookAI/roberta-base": _ROBERTA,
    "FacebookAI/xlm-roberta-base": _XLM_R,
    "almanach/camembert-base": {**_ROBERTA, "model_type": "camembert", "output_past": True, "vocab_size": 32005},
    "google/electra-base-discriminator": {
        **_BERT, "model_type": "electra", "embedding_size": 768, "summary_activation": "gelu",
        "summary_last_dropout": 0.1, "summary_type": "first", "summary_use_proj": True,
    },
    "nghuyong/ernie-2.0-base-en": {**_BERT, "model_type": "ernie", "use_task_id": False, "task_type_vocab_size": 3},
    "answerdotai/ModernBERT-base": _MODERNBERT,
    "Alibaba-NLP/gte-modernbert-base": {**_MODERNBERT, "classifier_pooling": "mean"},
    "jhu-clsp/ettin-encoder-150m": {
        **_MODERNBERT, "causal_mask": False, "is_causal": False, "local_rope_theta": 160000.0,
        "max_position_embeddings": 7999, "position_embedding_type": "sans_pos",
    },
    "jhu-clsp/mmBERT-base": {
        **_MODERNBERT, "bos_token_id": 2, "cls_token_id": 1, "eos_token_id": 1, "local_rope_theta": 160000.0,
        "mask_token_id": 4, "pad_token_id": 0, "position_embedding_type": "sans_pos", "sep_token_id": 1,
        "vocab_size": 256000,
    },
    "EuroBERT/EuroBERT-210m": _EUROBERT,
    "nomic-ai/nomic-embed-text-v1.5": _NOMIC,
    "Snowflake/snowflake-arctic-embed-m-v2.0": _GTE,
    "Qwen/Qwen3-Embedding-0.6B": _QWEN3,
    "google/embeddinggemma-300m": _GEMMA,
    "microsoft/deberta-v3-base": _DEBERTA,
    "albert/albert-base-v2": _ALBERT,
    "google/vit-base-patch16-224": _VIT,
    "facebook/deit-base-distilled-patch16-224": {**_VIT, "model_type": "deit"},
    "microsoft/beit-base-patch16-224": _BEIT,
    "facebook/dinov2-base": _DINOV2,
    "facebook/dinov3-vits16-pretrain-lvd1689m": _DINOV3,
    "microsoft/swin-tiny-patch4-window7-224": _SWIN,
    "openai/clip-vit-base-patch32": _CLIP,
    "google/siglip-base-patch16-224": _SIGLIP,
}  # fmt: skip
"""Entries of configs as they lie on the hub, junk included."""


def _configs(directory: Path, raw: dict[str, Any]) -> list[Any]:
    """The config that a model is built of, or those of both towers."""
    (directory / "config.json").write_text(json.dumps(raw))
    config = AutoConfig.from_pretrained(directory)
    return [config.text_config, config.vision_config] if "text_config" in raw else [config]


@pytest.mark.parametrize("raw", KNOWN.values(), ids=KNOWN)
def test_config_of_a_known_checkpoint_passes(tmp_path: Path, raw: dict[str, Any]) -> None:
    for config in _configs(tmp_path, raw):
        check_entries(tmp_path / "config.json", config)


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        *((raw, "position_embedding_type", kind)
          for raw in (_BERT, _ROBERTA, _XLM_R, _ALBERT, KNOWN["google/electra-base-discriminator"],
                      KNOWN["nghuyong/ernie-2.0-base-en"], KNOWN["almanach/camembert-base"])
          for kind in ("relative_key", "relative_key_query", "alibi", "rope")),
        (_GTE, "position_embedding_type", "alibi"),
        (_GTE, "layer_norm_type", "rms_norm"),
        (_GTE, "logn_attention_scale", True),
        (_BERT, "rope_theta", 10000),
        (_BERT, "alibi", True),
        (_BERT, "attention_window", [512]),
        (_BERT, "use_attention_scale", True),
        (_BERT, "causal", True),
        (_BERT, "adapters", {"adapters": {"a": "b"}}),
        (_BERT, "pruned_heads", {"0": [1]}),
        (_BERT, "embedding_size", 128),
        (_BERT, "activation_function", "relu"),
        (_BERT, "pre_norm", True),
        (_BERT, "pooling", "max"),
        (_BERT, "head_dim", 32),
        (_BERT, "scale_attn_weights", False),
        (_ROBERTA, "layer_norm_epsilon", 1e-6),
        (_NOMIC, "rotary_emb_base", 10000),
        (_NOMIC, "rotary_emb_fraction", 0.5),
        (_NOMIC, "rotary_emb_fraction", 0.0),
        (_NOMIC, "layer_norm_epsilon", 0.0),
        (_BERT, "bidirectional", False),
        (_ROBERTA, "is_bidirectional", False),
        (_QWEN3, "bidirectional", True),
        (_BERT, "use_position_embeddings", False),
        (_VIT, "use_abs_pos", False),
        (_BERT, "use_layer_norm", False),
        (_NOMIC, "rotary_emb_interleaved", True),
        (_NOMIC, "rotary_scaling_factor", 2),
        (_NOMIC, "qkv_proj_bias", True),
        (_NOMIC, "mlp_fc1_bias", True),
        (_NOMIC, "prenorm", True),
        (_NOMIC, "use_rms_norm", True),
        (_NOMIC, "parallel_block", True),
        (_NOMIC, "causal", True),
        (_NOMIC, "scale_attn_by_inverse_layer_idx", True),
        (_NOMIC, "n_layer", 6),
        (_NOMIC, "n_head", 16),
        (_NOMIC, "activation_function", "gelu"),
        (_MODERNBERT, "layer_norm_eps", 1e-12),
        (_VIT, "use_rel_pos_bias", True),
        (_VIT, "window_size", 7),
        (_VIT, "global_pool", "avg"),
        (_DISTILBERT, "position_embedding_type", "relative_key"),
        ({**_CLIP, "text_config": {**_CLIP_TEXT, "causal_window": 3}}, "", None),
    ],
    ids=lambda part: part["model_type"] if isinstance(part, dict) and "model_type" in part else str(part),
)  # fmt: skip
def test_dropped_entry_is_refused_by_file_and_name(
    tmp_path: Path, raw: dict[str, Any], name: str, value: object
) -> None:
    config, *_vision = _configs(tmp_path, {**raw, name: value} if name else raw)
    with pytest.raises(PretrainedError, match=rf"config\.json has {name}.*does not read.*remove the entry"):
        check_entries(tmp_path / "config.json", config)


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        (_BERT, "bidirectional", True),
        (_QWEN3, "bidirectional", False),
        (_ALBERT, "num_memory_blocks", 0),
        (_BERT, "use_relative_position_bias", False),
    ],
)
def test_entry_that_says_what_is_done_passes(tmp_path: Path, raw: dict[str, Any], name: str, value: object) -> None:
    for config in _configs(tmp_path, {**raw, name: value}):
        check_entries(tmp_path / "config.json", config)


@pytest.mark.parametrize("kind", ["ntk", "dynamic", "longrope"])
def test_config_rotary_type_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(_GTE))
    config = AutoConfig.from_pretrained(tmp_path)
    config.rope_parameters["rope_type"] = kind
    with pytest.raises(PretrainedError, match=rf"config\.json has rope_type '{kind}'"):
        check_entries(tmp_path / "config.json", config)
