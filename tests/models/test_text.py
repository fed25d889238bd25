"""Tokenization: the file's own padding and truncation are gone, offsets point into the caller's string."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from models.contract.specs import TextSpec
from models.preprocess.errors import TokenizerError
from models.preprocess.text import TextPreprocessor
from tests.checkpoints import CLS, PAD, SEP, WORDS, write_tokenizer


def limited_to(max_tokens: int, **more: Any) -> TextSpec:
    return TextSpec(max_tokens=max_tokens, vocabulary_size=100, position_offset=0, **more)


@pytest.fixture
def preprocess(tmp_path: Path) -> TextPreprocessor:
    write_tokenizer(tmp_path)
    return TextPreprocessor((tmp_path / "tokenizer.json").read_text(), limited_to(20))


def test_offsets_and_special_tokens(preprocess: TextPreprocessor) -> None:
    (tokens,) = preprocess(["The  LAMP reads"])
    assert [tokens.ids[0], tokens.ids[-1]] == [CLS, SEP]
    assert tokens.pieces == ("[CLS]", "the", "lamp", "reads", "[SEP]")
    assert tokens.offsets == ((0, 0), (0, 3), (5, 9), (10, 15), (0, 0))
    assert not tokens.truncated


def test_truncation_is_ours_and_said(preprocess: TextPreprocessor) -> None:
    exact, over = preprocess(["lamp " * 18, "lamp " * 19])
    assert (len(exact.ids), exact.truncated) == (20, False)
    assert (len(over.ids), over.truncated) == (20, True)
    assert over.ids[-1] == SEP


def test_the_empty_text_is_its_special_tokens(preprocess: TextPreprocessor) -> None:
    assert preprocess([""])[0].ids.tolist() == [CLS, SEP]


@pytest.mark.parametrize(
    "text",
    [
        "the old lamp reads. " * 5_000,
        " " * 9_000 + "lamp",
        "lamp" + " " * 50_000 + "reads " * 30,
        "lamp " * 17 + " " * 700 + "reads light",
        "x" * 100_000,
        "the " * 18 + " " * 100_000,
    ],
)
def test_a_long_text_is_not_read_to_its_end_and_gives_the_same_tokens(tmp_path: Path, text: str) -> None:
    write_tokenizer(tmp_path)
    whole = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    whole.no_padding()
    whole.enable_truncation(20)
    expected = whole.encode(text)
    (tokens,) = TextPreprocessor((tmp_path / "tokenizer.json").read_text(), limited_to(20))([text])
    assert tokens.ids.tolist() == expected.ids
    assert list(tokens.offsets) == expected.offsets
    assert tokens.truncated == bool(expected.overflowing)


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_default_tokenizer_offsets_stay_inside_the_text(minilm_source: Path, text: str) -> None:
    (tokens,) = TextPreprocessor((minilm_source / "tokenizer.json").read_text(), limited_to(256))([text])
    for (start, end), piece in zip(tokens.offsets, tokens.pieces, strict=True):
        special = piece in ("[CLS]", "[SEP]")
        assert (start == end) if special else (0 <= start < end <= len(text))


def test_a_prompt_is_tokenized_and_is_no_part_of_the_callers_text(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    spec = limited_to(20, prompts={"query": "old lamp. ", "none": ""}, default_prompt="query")
    preprocess = TextPreprocessor((tmp_path / "tokenizer.json").read_text(), spec)
    (tokens,) = preprocess(["the sea"])
    assert tokens.pieces == ("[CLS]", "old", "lamp", ".", "the", "sea", "[SEP]")
    assert tokens.offsets == ((0, 0), (0, 0), (0, 0), (0, 0), (0, 3), (4, 7), (0, 0))
    (bare,) = preprocess(["the sea"], spec.prompts["none"])
    assert bare.pieces == ("[CLS]", "the", "sea", "[SEP]")


def test_a_default_prompt_has_to_be_one() -> None:
    with pytest.raises(ValueError, match="not among the prompts"):
        limited_to(20, default_prompt="query")


def test_texts_are_padded_where_the_encoder_was_trained_so(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    short, over = TextPreprocessor((tmp_path / "tokenizer.json").read_text(), limited_to(9, padding_id=PAD))(
        ["lamp", "lamp " * 9]
    )
    assert short.ids.tolist() == [CLS, WORDS.index("lamp"), SEP, *[PAD] * 6]
    assert short.offsets[3:] == ((0, 0),) * 6
    assert (len(over.ids), over.truncated) == (9, True)


@pytest.mark.parametrize("text", ["", "{}", '{"version": "1.0", "model": {"type": "WordLevel"}}'])
def test_what_is_no_tokenizer_is_refused(text: str) -> None:
    with pytest.raises(TokenizerError):
        TextPreprocessor(text, limited_to(20))
