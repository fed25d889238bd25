"""The tokenizer of a source has to fit its encoder."""

import re
from pathlib import Path

import pytest

from export.errors import OptionError, SourceError
from export.options import Options
from export.subjects.opening import open_subject
from tests.checkpoints import WORDS, write_bert
from tests.export.sources import refusal, rewrite, spec
from tests.hf_text import write_text


def test_a_tokenizer_that_makes_nothing_of_nothing_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    rewrite(source / "tokenizer.json", post_processor=None)
    with pytest.raises(SourceError, match="no token of an empty text"):
        open_subject(source, Options())


def test_a_limit_without_room_for_a_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="max-tokens 2 leaves no room beside 2 special tokens"):
        open_subject(write_bert(tmp_path), Options(max_tokens=2))


def test_texts_of_siglip_have_one_length_and_their_own_padding(tmp_path: Path) -> None:
    source = write_text("siglip", tmp_path)
    (source / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "Siglip2Tokenizer", "pad_token": {"content": "[UNK]"}}'
    )
    assert spec(source, modality="text").padding_id == WORDS.index("[UNK]")
    with pytest.raises(OptionError, match="padded to 40 tokens"):
        spec(source, modality="text", max_tokens=8)
    (source / "tokenizer_config.json").write_text('{"pad_token": "nonesuch"}')
    with pytest.raises(SourceError, match="names no pad_token"):
        spec(source, modality="text")


@pytest.mark.parametrize("text", ["{}", '{"version": "1.0"'])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    source = write_bert(tmp_path)
    (source / "tokenizer.json").write_text(text)
    assert re.search(r"tokenizer\.json cannot be read", refusal(source))
