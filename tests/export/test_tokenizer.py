"""Tests of a source's tokenizer: the one that transformers loads from its files, and it fits the encoder."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from export import tokenizer, tokenizer_parity
from export.errors import OptionError, SourceError
from export.options import ExportOptions
from export.targets.loader import load_target
from models.artifact.specs import TextSpec
from models.preprocess.text import TextPreprocessor
from tests.checkpoints import write_bert
from tests.export.sources import HTML_PAGE, LFS_POINTER, export_error, text_spec, update_json
from tests.hf_text import write_text
from tests.tokenizers import WORD_PIECES, write_byte_level, write_gemma, write_unigram, write_word_piece

SIZE = 400
SPEC = TextSpec(max_tokens=24, vocab_size=SIZE, position_offset=0)


def added(content: str, **flags: bool) -> dict[str, object]:
    own = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {"content": content, **own, **flags}


def source(directory: Path, kind: str = "bert") -> Path:
    """The directory with the config.json that `transformers` chooses a class by."""
    (directory / "config.json").write_text(json.dumps({"model_type": kind, "vocab_size": SIZE}))
    return directory


def tokens(directory: Path, text: str, *, lower_case: bool = False, limits: TextSpec = SPEC) -> list[str]:
    """The tokens that the service makes of a text by what was read of the directory."""
    preprocess = TextPreprocessor(tokenizer.read_tokenizer(directory, limits, lower_case=lower_case)[0], limits)
    return [token for token, _, _ in preprocess([text])[0].token_offsets]


def refused(directory: Path, limits: TextSpec = SPEC) -> str:
    with pytest.raises(SourceError) as error:
        tokenizer.read_tokenizer(directory, limits, lower_case=False)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("lower", "config", "text", "expected"),
    [
        (True, {"do_lower_case": False}, "A É", ["A", "É"]),
        (False, {"do_lower_case": True}, "A É", ["a", "e"]),
        (True, {"do_lower_case": True, "strip_accents": False}, "É", ["é"]),
        (False, {"do_lower_case": False, "strip_accents": True}, "É", ["E"]),
        (True, {}, "中文", ["中", "文"]),
        (True, {"tokenize_chinese_chars": False}, "中文", ["中", "##文"]),
        (True, {"added_tokens_decoder": {"300": added("[LAMP]")}}, "a [LAMP]", ["a", "[LAMP]"]),
        (True, {"extra_special_tokens": ["[LAMP]"]}, "a[LAMP]", ["a", "[LAMP]"]),
    ],
)
def test_entries_of_tokenizer_config_are_applied(
    lower: bool, config: dict[str, Any], text: str, expected: list[str], tmp_path: Path
) -> None:
    directory = source(write_word_piece(tmp_path, lower=lower, **config))
    assert tokens(directory, text) == ["[CLS]", *expected, "[SEP]"]


def test_other_files_of_tokens_are_applied(tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path))
    (directory / "special_tokens_map.json").write_text('{"cls_token": "[MASK]"}')
    (directory / "added_tokens.json").write_text(json.dumps({"[lamp]": len(WORD_PIECES)}))
    assert tokens(directory, "a [lamp]") == ["[MASK]", "a", "[lamp]", "[SEP]"]


@pytest.mark.parametrize("files", [["tokenizer.json"], ["tokenizer.json", "tokenizer_config.json"]])
def test_vocabulary_alone_is_enough(files: list[str], tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path))
    (directory / "vocab.txt").write_text("\n".join(WORD_PIECES))
    for name in files:
        (directory / name).unlink()
    assert tokens(directory, "Ab") == ["[CLS]", "a", "##b", "[SEP]"]


def test_tokenizer_without_vocabulary_is_refused(tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path))
    (directory / "tokenizer.json").unlink()
    assert re.search(r"has no tokenizer\.json; save the fast tokenizer there", refused(directory))
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    (directory / "sentencepiece.bpe.model").write_bytes(b"\x0a\x0e")
    assert "sentencepiece.bpe.model" in refused(directory)


@pytest.mark.parametrize(
    ("write", "kind", "config", "expected"),
    [
        (write_byte_level, "roberta", {}, ["<s>", "a", "A", "</s>"]),
        (write_byte_level, "roberta", {"add_prefix_space": True}, ["<s>", "Ġa", "A", "</s>"]),
        # No class of transformers but BERT's kin has a do_lower_case: neither RoBERTa's nor XLM-RoBERTa's heeds it.
        (write_byte_level, "roberta", {"do_lower_case": True}, ["<s>", "a", "A", "</s>"]),
        (write_unigram, "xlm-roberta", {"do_lower_case": True}, ["<s>", "▁a", "A", "</s>"]),
        (write_unigram, "xlm-roberta", {"add_prefix_space": False}, ["<s>", "a", "A", "</s>"]),
    ],
)
def test_other_kinds_are_as_transformers_makes_them(
    write: Callable[..., Path], kind: str, config: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    assert tokens(source(write(tmp_path, **config), kind), "aA") == expected


def test_sentence_transformers_lowers_case_before_all_else(tmp_path: Path) -> None:
    directory = source(write_byte_level(tmp_path), "roberta")
    assert tokens(directory, "AA", lower_case=True) == ["<s>", "a", "a", "</s>"]


@pytest.mark.parametrize("tokenizer_class", ["PreTrainedTokenizerFast", None])
def test_file_that_no_class_is_named_for_is_read_as_it_is(tokenizer_class: str | None, tmp_path: Path) -> None:
    """A RoBERTa whose file is of word pieces: the class of its model_type would read them as byte-level BPE."""
    directory = source(write_word_piece(tmp_path, tokenizer_class=tokenizer_class), "roberta")
    assert tokens(directory, "Ab") == ["[CLS]", "a", "##b", "[SEP]"]


def test_class_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path, tokenizer_class="RobertaTokenizer"), "roberta")
    assert "tokenizer_class 'RobertaTokenizer' builds a BPE tokenizer of the WordPiece" in refused(directory)
    directory = source(write_word_piece(tmp_path, tokenizer_class="XLMRobertaTokenizer"), "roberta")
    assert "tokenizer_class 'XLMRobertaTokenizer' cannot read tokenizer.json" in refused(directory)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"truncation_side": "left"}, "truncation_side is 'left'"),
        ({"split_special_tokens": True}, "split_special_tokens is true"),
        ({"tokenizer_class": "ByT5Tokenizer"}, "its class is ByT5Tokenizer"),
        ({"auto_map": {"AutoTokenizer": ["custom.Tokenizer", None]}}, "auto_map"),
    ],
)
def test_tokenization_that_the_service_cannot_do_is_refused(config: dict[str, Any], said: str, tmp_path: Path) -> None:
    message = refused(source(write_word_piece(tmp_path, **config)))
    assert "tokenizer_config.json" in message
    assert said in message


def _compare(directory: Path, text: str, limits: TextSpec, reference: Any, *, lower_case: bool = False) -> None:
    tokenizer_parity.compare_ids(directory, text, limits, reference, lower_case=lower_case)


def test_gate_names_the_first_text_that_differs(tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path))
    text, _ = tokenizer.read_tokenizer(directory, SPEC, lower_case=False)
    reference = AutoTokenizer.from_pretrained(directory)
    _compare(directory, text, SPEC, reference)
    with pytest.raises(SourceError, match=r"tokenizer_config\.json: transformers tokenizes 'The QUICK Brown Fox"):
        _compare(directory, text.replace('"lowercase":true', '"lowercase":false'), SPEC, reference)
    with pytest.raises(SourceError, match="differently"):  # only texts past the limit show it
        _compare(directory, text, SPEC, _Longer(reference))
    prompted = SPEC.model_copy(update={"default_prompt": "query", "prompts": {"query": "A: "}})
    _compare(directory, text, prompted, reference)


def test_lowered_case_is_compared_with_pythons(tmp_path: Path) -> None:
    directory = source(write_byte_level(tmp_path), "roberta")
    reference = AutoTokenizer.from_pretrained(directory)
    lowered, _ = tokenizer.read_tokenizer(directory, SPEC, lower_case=True)
    kept, _ = tokenizer.read_tokenizer(directory, SPEC, lower_case=False)
    _compare(directory, lowered, SPEC, reference, lower_case=True)
    with pytest.raises(SourceError, match="transformers tokenizes 'The QUICK Brown Fox"):
        _compare(directory, kept, SPEC, reference, lower_case=True)


class _Longer:
    """A tokenizer that keeps one token more of a text than it is asked to."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, texts: list[str], *, max_length: int, truncation: bool) -> Any:
        return self._tokenizer(texts, max_length=max_length + 1, truncation=truncation)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


PAST = SPEC.model_copy(update={"vocab_size": len(WORD_PIECES)})


@pytest.mark.parametrize(
    ("name", "content", "entry"),
    [
        ("tokenizer_config.json", {"added_tokens_decoder": {"900": added("[LAMP]")}}, "added_tokens_decoder"),
        ("tokenizer_config.json", {"mask_token": "[LAMP]"}, "mask_token"),
        ("tokenizer_config.json", {"extra_special_tokens": ["[LAMP]"]}, "extra_special_tokens"),
        ("special_tokens_map.json", {"bos_token": "[LAMP]"}, "bos_token"),
        ("added_tokens.json", {"[LAMP]": len(WORD_PIECES)}, r"\[LAMP\]"),
    ],
)
def test_added_token_past_the_embedding_table_is_dropped_with_a_note(
    name: str, content: dict[str, Any], entry: str, tmp_path: Path
) -> None:
    directory = source(write_word_piece(tmp_path))
    (directory / name).write_text(json.dumps({"tokenizer_class": "BertTokenizer", **content}))
    if name != "tokenizer_config.json":
        (directory / name).write_text(json.dumps(content))
    size = len(WORD_PIECES)
    text, (note,) = tokenizer.read_tokenizer(directory, PAST, lower_case=False)
    said = rf"{name} \({entry}\): the token '\[LAMP\]' has the id {size}, the model embeds {size}: dropped"
    assert re.search(said, note)
    ids = TextPreprocessor(text, PAST)(["a [LAMP]"])[0].ids
    assert max(ids) < size


def test_image_token_of_embeddinggemma_is_dropped_with_a_note(tmp_path: Path) -> None:
    """Gemma 3's tokenizer names <image_soft_token>, the first id past the table of EmbeddingGemma."""
    directory = source(write_gemma(tmp_path, tokenizer_class="GemmaTokenizer"), "gemma3_text")
    size = len(json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"])
    update_json(
        directory / "tokenizer.json",
        added_tokens=[
            *json.loads((directory / "tokenizer.json").read_text())["added_tokens"],
            {"id": size, **added("<image_soft_token>")},
        ],
    )
    update_json(
        directory / "tokenizer_config.json",
        added_tokens_decoder={str(size): added("<image_soft_token>")},
        image_token="<image_soft_token>",
    )
    limits = SPEC.model_copy(update={"vocab_size": size})
    text, notes = tokenizer.read_tokenizer(directory, limits, lower_case=False)
    assert re.search(rf"'<image_soft_token>' has the id {size}, the model embeds {size}: dropped", notes[0])
    assert max(TextPreprocessor(text, limits)(["a <image_soft_token>"])[0].ids) < size


def test_vocabulary_past_the_embedding_table_is_refused(tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path))
    size = len(WORD_PIECES) - 1
    message = refused(directory, SPEC.model_copy(update={"vocab_size": size}))
    assert re.search(rf"tokenizer\.json.*: the token '{WORD_PIECES[-1]}' has the id {size}, the model embeds", message)


def test_special_token_of_every_text_past_the_embedding_table_is_refused(tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path))
    (directory / "special_tokens_map.json").write_text('{"cls_token": "[LAMP]"}')
    assert "a special token of every text has the id" in refused(directory, PAST)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("special_tokens_map.json", "[1, 2]"),
        ("special_tokens_map.json", "{"),
        ("special_tokens_map.json", '{"cls_token": 3}'),
        ("special_tokens_map.json", '{"cls_token": {"lstrip": true}}'),
        ("added_tokens.json", '["[LAMP]"]'),
        ("added_tokens.json", '{"[LAMP]": "x"}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": {"content": "[LAMP]"}}}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"5": "[LAMP]"}}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": []}'),
        ("tokenizer_config.json", '{"additional_special_tokens": [3]}'),
        ("tokenizer_config.json", '{"additional_special_tokens": "[LAMP]"}'),
        ("tokenizer_config.json", '{"extra_special_tokens": [{}]}'),
        ("tokenizer_config.json", "[]"),
    ],
)
@pytest.mark.parametrize("tokenizer_class", ["BertTokenizer", None])
def test_malformed_file_of_tokens_is_named(
    name: str, content: str, tokenizer_class: str | None, tmp_path: Path
) -> None:
    directory = source(write_word_piece(tmp_path, tokenizer_class=tokenizer_class), "roberta")
    (directory / name).write_text(content)
    assert f"{directory / name} is invalid" in refused(directory)


def test_flag_that_no_token_has_is_refused_in_one_line(tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path, tokenizer_class=None), "roberta")
    (directory / "special_tokens_map.json").write_text('{"cls_token": {"content": "[CLS]", "lstrip": "maybe"}}')
    assert str(directory) in refused(directory)


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize(("content", "said"), [(LFS_POINTER, "is a Git LFS pointer"), (HTML_PAGE, "is an HTML page")])
def test_broken_download_of_a_file_is_named(name: str, content: str, said: str, tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path))
    (directory / name).write_text(content)
    if name == "vocab.txt":
        (directory / "tokenizer.json").unlink()
    assert f"{directory / name} {said}" in refused(directory)


def test_vocabulary_that_cannot_tokenize_is_named(tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path))
    (directory / "tokenizer.json").unlink()
    (directory / "vocab.txt").write_text("<p>\nnothing here\n")
    assert re.search(r"vocab\.txt", refused(directory))


def test_token_that_only_a_class_has_added_is_left_out(tmp_path: Path) -> None:
    """RoBERTa's class adds a <mask> to a vocabulary without one; no text of the source's author holds it."""
    directory = source(write_byte_level(tmp_path), "roberta")
    file = directory / "tokenizer.json"
    changed = json.loads(file.read_text())
    changed["added_tokens"] = [token for token in changed["added_tokens"] if token["content"] != "<mask>"]
    vocabulary = changed["model"]["vocab"]
    last = max(vocabulary, key=lambda piece: vocabulary[piece])
    vocabulary[last] = vocabulary.pop("<mask>")
    file.write_text(json.dumps(changed))
    (directory / "tokenizer_config.json").unlink()
    limits = SPEC.model_copy(update={"vocab_size": len(vocabulary)})
    assert tokens(directory, "<mask>", limits=limits)[1:-1] == ["<", "m", "a", "s", "k", ">"]


def test_tokenizer_that_makes_nothing_of_nothing_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    update_json(source / "tokenizer.json", post_processor=None)
    with pytest.raises(SourceError, match=r"no token for an empty text, which would have no vector.*cannot be served"):
        load_target(source, ExportOptions())


def test_limit_without_room_for_a_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="max-tokens 2 leaves no room for text: 2 are special tokens"):
        load_target(write_bert(tmp_path), ExportOptions(max_tokens=2))


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({}, 40),
        ({"model_max_length": 16}, 16),
        ({"model_max_length": None}, 40),
        ({"model_max_length": 1e30}, 40),
        ({"model_max_length": 10**30}, 40),
        ({"model_max_length": 512}, 40),
        ({"max_len": 16}, 16),
        ({"max_len": 16, "model_max_length": 24}, 24),
        ({"max_len": 16, "model_max_length": None}, 40),
    ],
)
def test_length_that_the_tokenizer_keeps_is_the_limit(config: dict[str, Any], limit: int, tmp_path: Path) -> None:
    """tokenizer.json keeps a truncation to 8 tokens, which transformers replaces and does not cut at."""
    source = write_bert(tmp_path)
    (source / "tokenizer_config.json").write_text(json.dumps(config))
    assert text_spec(source).max_tokens == limit
    (source / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    assert text_spec(source).max_tokens == 20
    assert text_spec(source, max_tokens=30).max_tokens == 30


def test_length_of_nothing_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "tokenizer_config.json").write_text('{"model_max_length": 0}')
    assert re.search(r"tokenizer_config\.json is invalid: .*model_max_length", export_error(source))


def test_texts_of_siglip_have_one_length_and_their_own_padding(tmp_path: Path) -> None:
    source = write_text("siglip", tmp_path)
    write_gemma(source, padding_side="right", pad_token={"__type": "AddedToken", **added("<mask>")})
    limits = SPEC.model_copy(update={"padding_id": tokenizer.padding_id(source, None)})
    assert limits.padding_id == 4
    assert tokens(source, "aB", limits=limits) == ["a", "b", "<eos>", *["<mask>"] * 21]
    write_gemma(source)
    limits = SPEC.model_copy(update={"padding_id": tokenizer.padding_id(source, 0)})
    assert "padding_side is 'left'; the service pads at the end" in refused(source, limits)
    wrong = SPEC.model_copy(update={"padding_id": 3})
    write_gemma(source, padding_side="right")
    assert "pad_token is '<pad>', of the id 0, not 3" in refused(source, wrong)


def test_fixed_length_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="padded to 40 tokens"):
        text_spec(write_text("siglip", tmp_path), modality="text", max_tokens=8)


def test_padding_without_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="names no pad_token"):
        tokenizer.padding_id(source(write_word_piece(tmp_path)), None)


@pytest.mark.parametrize("text", ["{}", '{"version": "1.0"'])
def test_file_that_is_no_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    source = write_bert(tmp_path)
    (source / "tokenizer.json").write_text(text)
    assert re.search(r"tokenizer\.json cannot be read", export_error(source))


def test_file_that_the_class_of_the_model_does_not_fit_is_read_with_a_note(tmp_path: Path) -> None:
    directory = source(write_byte_level(tmp_path))
    assert not tokenizer.read_tokenizer(source(write_word_piece(tmp_path / "own")), SPEC, lower_case=False)[1]
    (directory / "tokenizer_config.json").unlink()
    _, notes = tokenizer.read_tokenizer(directory, SPEC, lower_case=False)
    assert notes == ("tokenizer.json is read as it is: the tokenizer class of model_type 'bert' does not fit it",)


def test_short_limit_reads_long_words_whole(tmp_path: Path) -> None:
    """WordPiece makes [UNK] of a word of over 100 characters; 32 a token would cut it into one that it knows."""
    limits = SPEC.model_copy(update={"max_tokens": 3})
    assert tokens(source(write_word_piece(tmp_path)), "a" * 300, limits=limits) == ["[CLS]", "[UNK]", "[SEP]"]


def test_class_of_any_file_holds_where_the_model_type_goes_before_it(tmp_path: Path) -> None:
    directory = source(write_word_piece(tmp_path, tokenizer_class="PreTrainedTokenizerFast"), "siglip2")
    text, notes = tokenizer.read_tokenizer(directory, SPEC, lower_case=False)
    assert json.loads(text)["model"]["type"] == "WordPiece"
    assert "read as it is: the tokenizer class of model_type 'siglip2' does not fit it" in notes[0]
