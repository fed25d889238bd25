"""Tests of pairs of texts: the tokenizer's pair template, truncation, and offsets into the caller's own strings."""
# ruff: noqa: RUF001 - letters that look alike are what is probed

from pathlib import Path

import numpy as np
import pytest

from models.artifact.graph_inputs import pack
from models.artifact.specs import TextSpec
from models.preprocess.model_input import TextPair
from models.preprocess.text import TextPreprocessor
from tests.conftest import DEFAULT_SOURCE

ODD = [
    "", " ", "a", "lamp", "🙂", "👩\u200d👩\u200d👧\u200d👦 family", "👍🏽 ok", "🇩🇪 flag", "1️⃣ one", "e\u0301te\u0301",
    "cafe\u0301\u0327 au", "z\u0335\u0321algo", "مرحبا بالعالم", "שלום עוֹלָם", "\u202eright to left\u202c", "a\x00b",
    "\x00", "bell \x07", "line\r\nbreak", "\r\n\r\n", "tab\there", "\u2028sep\u2029", "日本語のテキスト", "ｆｕｌｌ",
    "ﬁne oﬃce", "İstanbul", "ΌΣΟΣ", "ß ẞ", "Ångström", "\ufeffbom", "soft\u00adhyphen", "zero\u200bwidth", "a" * 300,
    "supercali" * 30, "don't", "“quoted”", "x->y", "C:\\path", "@me #tag", "3.14", "½ ²", "٣٤", "[CLS] [SEP]",
    "[MASK]ed", "  spaced   out  ", "no-break\u00a0space", "𝒳𝔸", "\U00020000", "ไทย", "हिन्दी",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenize() -> TextPreprocessor:
    text = (DEFAULT_SOURCE / "tokenizer.json").read_text(encoding="utf-8")
    return TextPreprocessor(text, TextSpec(max_tokens=64, vocab_size=30_522, position_offset=0, token_types=2))


def test_there_are_fifty_odd_strings() -> None:
    assert len(ODD) == len(set(ODD)) == 50


@pytest.mark.parametrize("odd", ODD)
def test_offsets_are_in_the_string_that_a_token_is_in(odd: str, tokenize: TextPreprocessor) -> None:
    first, second = tokenize([TextPair(odd, "the old lamp"), TextPair("the old lamp", odd)])
    for item, texts, place in ((first, (odd, "the old lamp"), 0), (second, ("the old lamp", odd), 1)):
        assert item.token_inputs is not None
        for (_, start, end), part in zip(item.token_offsets, item.token_inputs, strict=True):
            assert (start == end) if part is None else 0 <= start <= end <= len(texts[part])
        (alone,) = tokenize([odd])
        if not (item.truncated or alone.truncated):
            inside = [
                offset for offset, part in zip(item.token_offsets, item.token_inputs, strict=True) if part == place
            ]
            assert inside == [offset for offset in alone.token_offsets if offset[0] not in ("[CLS]", "[SEP]")
                              or offset[1] < offset[2]]  # fmt: skip
        words = item.words
        assert words is not None
        for first_token, (text, start, end) in zip(words.first_tokens.tolist(), words.offsets, strict=True):
            part = item.token_inputs[first_token]
            assert start == end or text == texts[part or 0][start:end]


def test_token_types_say_which_text(tokenize: TextPreprocessor) -> None:
    (item,) = tokenize([TextPair("the lamp", "warns ships")])
    assert item.data.tolist() == [[101, 1996, 10437, 102, 19428, 3719, 102], [0, 0, 0, 0, 1, 1, 1]]
    assert item.token_inputs == [None, 0, 0, None, 1, 1, None]
    (single,) = tokenize(["the lamp"])
    assert single.data.tolist() == [[101, 1996, 10437, 102], [0, 0, 0, 0]]
    assert single.token_inputs is None
    packed = pack([item.data, single.data])
    assert packed["token_type_ids"].tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert packed["input_ids"].tolist() == [*item.data[0], *single.data[0]]


@pytest.mark.parametrize("kept", ["start", "end"])
@pytest.mark.parametrize("repeats", [1, 100, 20_000])
def test_long_texts_are_cut_as_if_they_were_read_whole(
    kept: str, repeats: int, tokenize: TextPreprocessor, tmp_path: Path
) -> None:
    document = "".join(f"ship {i} passed the lighthouse. " for i in range(repeats))
    (found,) = tokenize([TextPair("which ship passed", document)], kept_side=kept)  # type: ignore[arg-type]
    from tokenizers import Tokenizer

    whole = Tokenizer.from_file(str(DEFAULT_SOURCE / "tokenizer.json"))
    whole.no_padding()
    whole.enable_truncation(64, direction="right" if kept == "start" else "left")
    expected = whole.encode("which ship passed", document)
    assert found.ids.tolist() == expected.ids
    assert found.truncated == bool(expected.overflowing)
    ours = [(start, end) for _, start, end in found.token_offsets]
    assert ours == [offset if offset[0] < offset[1] else (0, 0) for offset in expected.offsets]


def test_second_text_can_be_cut_by_itself(tokenize: TextPreprocessor) -> None:
    pair = TextPair("the lamp", "one two three four five")
    cut, whole = (tokenize([pair], max_second_tokens=k)[0] for k in (3, 5))
    assert (cut.num_tokens, cut.truncated) == (8, True)
    assert (whole.num_tokens, whole.truncated) == (10, False)
    (end,) = tokenize([pair], max_second_tokens=2, kept_side="end")
    assert [token for token, start, stop in end.token_offsets if start < stop] == ["the", "lamp", "four", "five"]


def test_items_without_types_pack_without_them() -> None:
    assert "token_type_ids" not in pack([np.array([1, 2, 3])])
