"""Tests of tokenization: the file's padding and truncation are off, and offsets refer to the caller's string."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from models.artifact.specs import TextSpec
from models.preprocess.errors import TokenIdOutOfRange, TokenizerError
from models.preprocess.model_input import TokenizedText
from models.preprocess.text import INLINE_CHARS, MAX_CHARS, TextPreprocessor
from tests.checkpoints import CLS, PAD, SEP, WORDS, write_tokenizer


def limited_to(max_tokens: int, **more: Any) -> TextSpec:
    return TextSpec(max_tokens=max_tokens, vocab_size=100, position_offset=0, **more)


def words(tokens: TokenizedText) -> list[str]:
    return [word for word, _, _ in tokens.token_offsets]


def offsets(tokens: TokenizedText) -> list[tuple[int, int]]:
    return [(start, end) for _, start, end in tokens.token_offsets]


@pytest.fixture
def preprocess(tmp_path: Path) -> TextPreprocessor:
    write_tokenizer(tmp_path)
    return TextPreprocessor((tmp_path / "tokenizer.json").read_text(), limited_to(20))


def test_offsets_and_special_tokens(preprocess: TextPreprocessor) -> None:
    (tokens,) = preprocess(["The  LAMP reads"])
    assert [tokens.ids[0], tokens.ids[-1]] == [CLS, SEP]
    assert tokens.token_offsets == [("[CLS]", 0, 0), ("the", 0, 3), ("lamp", 5, 9), ("reads", 10, 15), ("[SEP]", 0, 0)]
    assert not tokens.truncated


def test_truncation_is_ours_and_said(preprocess: TextPreprocessor) -> None:
    exact, over = preprocess(["lamp " * 18, "lamp " * 19])
    assert (len(exact.ids), exact.truncated) == (20, False)
    assert (len(over.ids), over.truncated) == (20, True)
    assert over.ids[-1] == SEP


def test_empty_text_is_its_special_tokens(preprocess: TextPreprocessor) -> None:
    assert preprocess([""])[0].ids.tolist() == [CLS, SEP]


def test_brief_texts_give_what_they_give_among_others(preprocess: TextPreprocessor) -> None:
    brief = ["The  LAMP reads", "lamp " * 19]
    among = preprocess([*brief, "light " * INLINE_CHARS])[:2]
    for tokens, same in zip(preprocess(brief), among, strict=True):
        assert tokens.ids.tolist() == same.ids.tolist()
        assert (tokens.token_offsets, tokens.truncated) == (same.token_offsets, same.truncated)


@pytest.mark.parametrize(
    ("lengths", "prompt", "kept", "brief"),
    [
        ([INLINE_CHARS], "none", "start", True),
        ([INLINE_CHARS, 1], "none", "start", False),
        ([INLINE_CHARS - 5], "five", "start", True),
        ([INLINE_CHARS - 9, 0], "five", "start", False),
        ([1], "none", "end", False),
        ([], "five", "start", True),
    ],
)
def test_short_texts_are_tokenized_inline(
    tmp_path: Path, lengths: list[int], prompt: str, kept: Literal["start", "end"], brief: bool
) -> None:
    write_tokenizer(tmp_path)
    spec = limited_to(20, prompts={"none": "", "five": "lamp "})
    preprocess = TextPreprocessor((tmp_path / "tokenizer.json").read_text(), spec)
    assert preprocess.runs_inline(lengths, prompt=prompt, kept_side=kept) is brief


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
@pytest.mark.parametrize("kept", ["start", "end"])
def test_long_text_is_not_read_to_its_end_and_gives_the_same_tokens(
    tmp_path: Path, text: str, kept: Literal["start", "end"]
) -> None:
    write_tokenizer(tmp_path)
    whole = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    whole.no_padding()
    whole.enable_truncation(20, direction="right" if kept == "start" else "left")
    expected = whole.encode(text)
    (tokens,) = TextPreprocessor((tmp_path / "tokenizer.json").read_text(), limited_to(20))([text], kept_side=kept)
    assert tokens.ids.tolist() == expected.ids
    assert offsets(tokens) == expected.offsets
    assert tokens.truncated == bool(expected.overflowing)


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_default_tokenizer_offsets_stay_inside_the_text(minilm_source: Path, text: str) -> None:
    (tokens,) = TextPreprocessor((minilm_source / "tokenizer.json").read_text(), limited_to(256))([text])
    for piece, start, end in tokens.token_offsets:
        special = piece in ("[CLS]", "[SEP]")
        assert (start == end) if special else (0 <= start < end <= len(text))


def test_prompt_is_tokenized_and_is_no_part_of_the_callers_text(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    spec = limited_to(20, prompts={"query": "old lamp. ", "none": ""}, default_prompt="query")
    preprocess = TextPreprocessor((tmp_path / "tokenizer.json").read_text(), spec)
    (tokens,) = preprocess(["the sea"])
    assert words(tokens) == ["[CLS]", "old", "lamp", ".", "the", "sea", "[SEP]"]
    assert offsets(tokens) == [(0, 0), (0, 0), (0, 0), (0, 0), (0, 3), (4, 7), (0, 0)]
    (bare,) = preprocess(["the sea"], prompt="none")
    assert words(bare) == ["[CLS]", "the", "sea", "[SEP]"]
    with pytest.raises(KeyError):
        preprocess(["the sea"], prompt="passage")


def test_default_prompt_has_to_be_one() -> None:
    with pytest.raises(ValueError, match="not among the prompts"):
        limited_to(20, default_prompt="query")


def test_texts_are_padded_where_the_encoder_was_trained_so(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    short, over = TextPreprocessor((tmp_path / "tokenizer.json").read_text(), limited_to(9, padding_id=PAD))(
        ["lamp", "lamp " * 9]
    )
    assert short.ids.tolist() == [CLS, WORDS.index("lamp"), SEP, *[PAD] * 6]
    assert offsets(short)[3:] == [(0, 0)] * 6
    assert (len(over.ids), over.truncated) == (9, True)


def test_given_ids_are_taken_as_they_are(preprocess: TextPreprocessor) -> None:
    (tokens,) = preprocess(["the lamp reads"])
    given = preprocess.from_ids(tokens.ids.tolist())
    assert (given.key, given.truncated, words(given)) == (tokens.key, False, words(tokens))
    assert offsets(given) == [(0, 0)] * 5
    ids = [CLS, *range(5, 10), *[WORDS.index("lamp")] * 15, SEP]
    assert preprocess.from_ids(ids).ids.tolist() == ids[:20]
    assert preprocess.from_ids(ids, kept_side="end").ids.tolist() == ids[-20:]
    assert preprocess.from_ids(ids).truncated
    for id in (-1, 100, 2**70):
        with pytest.raises(TokenIdOutOfRange, match="another model"):
            preprocess.from_ids([CLS, id])


def test_tokens_to_look_at_are_not_cut(preprocess: TextPreprocessor) -> None:
    found = preprocess.tokenize("lamp " * 30)
    assert (found[0], found[1], found[-1]) == (
        (CLS, ("[CLS]", 0, 0)), (WORDS.index("lamp"), ("lamp", 0, 4)), (SEP, ("[SEP]", 0, 0)),
    )  # fmt: skip
    assert len(found) == 32
    bare = preprocess.tokenize("the lamp", add_special_tokens=False)
    assert [piece for _, (piece, _, _) in bare] == ["the", "lamp"]
    ids = [id for id, _ in preprocess.tokenize("the lamp")]
    assert preprocess.decode(ids, skip_special_tokens=False) == "[CLS] the lamp [SEP]"


@pytest.mark.parametrize("text", ["", "{}", '{"version": "1.0", "model": {"type": "WordLevel"}}'])
def test_malformed_tokenizer_is_refused(text: str) -> None:
    with pytest.raises(TokenizerError):
        TextPreprocessor(text, limited_to(20))


@pytest.mark.parametrize("kept", ["start", "end"])
def test_text_of_hardly_any_tokens_is_read_so_far_and_no_further(
    preprocess: TextPreprocessor, kept: Literal["start", "end"]
) -> None:
    (tokens,) = preprocess(["x" * (MAX_CHARS + 1)], kept_side=kept)
    assert (len(tokens.ids), tokens.truncated) == (3, True)
    (whole,) = preprocess(["x" * MAX_CHARS], kept_side=kept)
    assert not whole.truncated


def test_other_threads_go_on_while_a_long_text_is_read(preprocess: TextPreprocessor) -> None:
    """At one of five times: whatever else the machine does holds threads up, too."""
    assert any(longest_pause(lambda: preprocess(["x" * MAX_CHARS])) < 1 / 2 for _ in range(5))


def longest_pause(work: Callable[[], object]) -> float:
    """Of another thread while this one does `work`, as a share of the time that it takes."""
    longest, last, over = 0.0, time.monotonic(), threading.Event()

    def look() -> None:
        nonlocal longest, last
        while not over.is_set():
            now = time.monotonic()
            longest, last = max(longest, now - last), now

    looking = threading.Thread(target=look)
    looking.start()
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    over.set()
    looking.join()
    return longest / took
