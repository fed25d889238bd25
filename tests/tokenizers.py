"""Small tokenizers of the kinds that trained encoders have, over letters, with predictable tokens."""

import json
import string
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

BERT_SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*string.ascii_letters, *string.digits, *string.punctuation, *"éÉ中文"]
WORD_PIECES = [*BERT_SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
ROBERTA_SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
BYTE_PIECES = [*ROBERTA_SPECIAL_TOKENS, *BYTES, "Ġa"]
SENTENCE_PIECES = [*ROBERTA_SPECIAL_TOKENS[:4], "▁", *LETTERS, "▁a", "<mask>"]


def write_word_piece(directory: Path, *, lower: bool = True, **config: Any) -> Path:
    """BERT's: tokenizer.json that lowers case or does not, and the tokenizer_config.json that is applied over it."""
    tokenizer = Tokenizer(models.WordPiece(_ids(WORD_PIECES), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(BERT_SPECIAL_TOKENS)
    return _write(tokenizer, directory, {"tokenizer_class": "BertTokenizer", **config})


def write_byte_level(directory: Path, **config: Any) -> Path:
    """RoBERTa's: BPE of bytes."""
    tokenizer = Tokenizer(models.BPE(_ids(BYTE_PIECES), merges=[("Ġ", "a")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.add_special_tokens(ROBERTA_SPECIAL_TOKENS)
    return _write(tokenizer, directory, {"tokenizer_class": "RobertaTokenizer", **config})


def write_unigram(directory: Path, **config: Any) -> Path:
    """XLM-RoBERTa's: Unigram of SentencePiece."""
    pieces = [(piece, 0.0 if piece in ROBERTA_SPECIAL_TOKENS else -2.0) for piece in SENTENCE_PIECES]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(ROBERTA_SPECIAL_TOKENS)
    return _write(tokenizer, directory, {"tokenizer_class": "XLMRobertaTokenizer", **config})


def write_gemma(directory: Path, **config: Any) -> Path:
    """SigLIP 2's: BPE of letters, as the Gemma models have it."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS]
    tokenizer = Tokenizer(models.BPE(_ids(pieces), merges=[], unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.add_special_tokens(pieces[:5])
    return _write(tokenizer, directory, {"tokenizer_class": "Siglip2Tokenizer", **config})


def _ids(pieces: list[str]) -> dict[str, int]:
    return {piece: id for id, piece in enumerate(pieces)}


def _write(tokenizer: Tokenizer, directory: Path, config: dict[str, Any]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return directory
