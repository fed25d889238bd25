"""Small encoders of real architectures with random weights, written like trained checkpoints."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from models.encoders import checkpoint, registry
from models.encoders.feature_map_encoders import ConvConfig
from models.encoders.vit import VitConfig
from tests import trained_weights

WORDS = [
    "[PAD]",
    "[CLS]",
    "[SEP]",
    "[UNK]",
    *["the", "a", "lamp", "reads", "keeper", "light", "sea", "old", "and", "."],
]
PAD, CLS, SEP = 0, 1, 2


def write_tokenizer(directory: Path) -> None:
    """A word-level tokenizer with offsets and special tokens, and a leftover of fixed padding as real files have."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(8)
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')


def write_bert(
    directory: Path, *, pooling: str = "mean", normalize: bool = True, seed: int = 0, shaped: bool = True
) -> Path:
    """A two-layer BERT with sentence-transformers files around it; `shaped` as trained ones are
    (`tests.trained_weights`)."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
        initializer_range=0.3,  # large enough that attention is far from uniform
    )
    directory.mkdir(parents=True, exist_ok=True)
    model = BertModel(config, add_pooling_layer=False)
    if shaped:
        trained_weights.imitate_trained(model)
    model.save_pretrained(directory)
    write_tokenizer(directory)
    stages = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    modules = [
        {"type": f"sentence_transformers.models.{s}", "path": f"{i}_{s}" if i else ""} for i, s in enumerate(stages)
    ]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir(exist_ok=True)
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    return directory


def write_roberta(directory: Path) -> Path:
    """A plain Hugging Face RoBERTa, whose positions start at 2; no sentence-transformers files."""
    torch.manual_seed(1)
    config = RobertaConfig(
        vocab_size=len(WORDS),
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=34,
        initializer_range=0.3,
        pad_token_id=1,
    )
    directory.mkdir(parents=True, exist_ok=True)
    model = RobertaModel(config, add_pooling_layer=False)
    trained_weights.imitate_trained(model)
    model.save_pretrained(directory)
    write_tokenizer(directory)
    return directory


def write_image_encoder(config: VitConfig | ConvConfig, directory: Path, *, seed: int = 0) -> Path:
    """An image encoder of ours with random weights, some of them large enough that attention is not uniform."""
    torch.manual_seed(seed)
    encoder = registry.build(config)
    with torch.no_grad():
        for weights in encoder.parameters():
            if weights.ndim == 2:
                weights.mul_(3)
    checkpoint.save(encoder, directory)
    return directory
