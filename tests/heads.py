"""Checkpoints with a trained head: small real architectures, and a tokenizer that has a pair template."""

import json
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from models.artifact.specs import Task
from tests import hf_text
from tests.checkpoints import CLS, PAD, SEP, WORDS

LABELS: dict[Task, tuple[str, ...]] = {
    "rerank": ("LABEL_0",),
    "classify": ("contradiction", "entailment", "neutral"),
    "sparse": (),
    "token-classify": ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
}
"""Labels of the heads, by task."""

TYPED = ("bert", "electra", "ernie")
"""Kinds whose tokenizer tells the model which text of a pair a token is in."""


def write_with_head(kind: str, task: Task, directory: Path, *, seed: int = 0) -> Path:
    """A checkpoint of `kind` with the head of `task`, and `LABELS`."""
    hf_text.write_text(kind, directory, seed=seed, task=task, labels=LABELS[task])
    write_pair_tokenizer(directory, typed=kind in TYPED)
    return directory


def write_pair_tokenizer(directory: Path, *, typed: bool) -> None:
    """A tokenizer of words, with a template of a text and of a pair."""
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=20))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    second = 1 if typed else 0
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A [SEP] $B:{second} [SEP]:{second}",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    names = ["input_ids", *(["token_type_ids"] if typed else []), "attention_mask"]
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": names, "pad_token": WORDS[PAD]}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
