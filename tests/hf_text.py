"""Tiny text encoders with random weights in the architectures that others trained, as `save_pretrained` leaves them."""

from pathlib import Path
from typing import Any

import torch
import transformers

from tests import trained
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
_MARKS: dict[str, Any] = {"cls_token_id": CLS, "sep_token_id": SEP, "mask_token_id": SEP}
_VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 16,
}

CONFIGS: dict[str, Any] = {
    "bert": lambda: transformers.BertConfig(**_SIZES),
    "ernie": lambda: transformers.ErnieConfig(**_SIZES),
    "electra": lambda: transformers.ElectraConfig(**_SIZES, embedding_size=16),
    "roberta": lambda: transformers.RobertaConfig(**_SIZES, pad_token_id=1),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(**_SIZES, pad_token_id=1),
    "camembert": lambda: transformers.CamembertConfig(**_SIZES, pad_token_id=1),
    "distilbert": lambda: transformers.DistilBertConfig(
        vocab_size=len(WORDS), dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=40
    ),
    "mpnet": lambda: transformers.MPNetConfig(**_SIZES),
    "modernbert": lambda: transformers.ModernBertConfig(
        **_SIZES, **_IDS, **_MARKS, local_attention=8, global_attn_every_n_layers=2
    ),
    "nomic_bert": lambda: transformers.NomicBertConfig(**_SIZES, **_IDS),
    "gte": lambda: transformers.GteConfig(**_SIZES, **_IDS),
    "eurobert": lambda: transformers.EuroBertConfig(**_SIZES, **_IDS, mask_token_id=SEP, num_key_value_heads=2),
    "clip": lambda: transformers.CLIPConfig(text_config={**_SIZES, **_IDS}, vision_config=_VISION, projection_dim=24),
    "siglip": lambda: transformers.SiglipConfig(
        text_config={**_SIZES, **_IDS, "projection_size": 32}, vision_config=_VISION
    ),
}


def write_text(kind: str, directory: Path, *, seed: int = 0, shaped: bool = True) -> Path:
    """A checkpoint whose every weight is far from its first value, so that no part of it can be left out unseen.

    They behave as trained weights do (`tests.trained`), unless not `shaped`: where float32 is compared with float32.
    """
    torch.manual_seed(seed)
    model = transformers.AutoModel.from_config(CONFIGS[kind]())
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(parameter + noise / 10 if parameter.ndim == 1 else noise * 0.3)
    if shaped:
        trained.shape(model)
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    write_tokenizer(directory)
    return directory
