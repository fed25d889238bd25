"""How texts become vectors is read from the files around the encoder, unless an option says otherwise."""

import json
import re
from pathlib import Path

import pytest

from export import sentence_transformers
from export.errors import OptionError, SourceError
from export.options import Options
from export.subjects.opening import open_subject
from tests.checkpoints import write_bert
from tests.export.sources import refusal, rewrite, spec


def test_limits_come_from_sentence_transformers_and_never_exceed_positions(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    assert spec(source).max_tokens == 40
    for said, meant in (("16", 16), ("4096", 40), ("null", 40)):
        (source / "sentence_bert_config.json").write_text(f'{{"max_seq_length": {said}}}')
        assert spec(source).max_tokens == meant
    assert spec(source, max_tokens=8).max_tokens == 8
    with pytest.raises(OptionError, match="max-tokens 41 is more than the 40 positions"):
        spec(source, max_tokens=41)


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ('{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}', "mean"),
        ('{"pooling_mode": "cls"}', "cls"),
        ('{"pooling_mode_lasttoken": true}', "last"),
    ],
)
def test_both_ways_of_writing_the_pooling_mode(tmp_path: Path, config: str, pooling: str) -> None:
    source = write_bert(tmp_path)
    (source / "1_Pooling" / "config.json").write_text(config)
    assert sentence_transformers.read(source).pooling == pooling
    assert open_subject(source, Options()).embedding("x").pooling == pooling
    assert open_subject(source, Options(pooling="cls")).embedding("x").pooling == "cls"


@pytest.mark.parametrize("mode", ["max_tokens", "weightedmean_tokens"])
def test_an_unknown_pooling_names_the_known_ones(tmp_path: Path, mode: str) -> None:
    with pytest.raises(SourceError, match=f"pooling {mode} cannot be exported; known: mean, cls, lasttoken"):
        open_subject(write_bert(tmp_path, pooling=mode), Options())


def test_vectors_are_normalised_as_the_source_says_unless_told_otherwise(tmp_path: Path) -> None:
    source = write_bert(tmp_path, normalize=False)
    assert not open_subject(source, Options()).embedding("x").normalize
    assert open_subject(source, Options(normalize=True)).embedding("x").normalize


def test_prompts_and_lower_case_are_honoured(tmp_path: Path) -> None:
    source = write_bert(tmp_path / "source")
    prompts = {"query": "query: ", "passage": "passage: "}
    (source / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": prompts, "default_prompt_name": "query"})
    )
    text = spec(source)
    assert (text.prompts, text.default_prompt) == (prompts, "query")
    (source / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    rewrite(source / "tokenizer.json", normalizer=None)
    subject = open_subject(source, Options())
    (tmp_path / "staged").mkdir()
    subject.copy_files(tmp_path / "staged")
    normalizer = json.loads((tmp_path / "staged" / "tokenizer.json").read_text())["normalizer"]
    assert normalizer == {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}


def test_a_prompt_left_out_of_the_pooling_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "config_sentence_transformers.json").write_text('{"prompts": {"query": "q: "}}')
    (source / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean", "include_prompt": false}')
    with pytest.raises(SourceError, match="include_prompt"):
        open_subject(source, Options())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("modules.json", '{"a": 1}', r"modules\.json is not what it should be"),
        ("modules.json", '[{"type": "a.Dense", "path": "2_Dense"}]', "stages that cannot be exported: Dense"),
        ("modules.json", '[{"type": "a.Pooling", "path": "../p"}]', "not a folder beside it"),
        ("modules.json", '[{"type": "a.Transformer", "path": "0_T"}]', "export that directory"),
        ("config_sentence_transformers.json", '{"default_prompt_name": "query"}', "the default prompt 'query'"),
    ],
)
def test_files_that_are_malformed_or_ask_for_what_is_not_done_are_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    source = write_bert(tmp_path)
    (source / name).write_text(text)
    assert re.search(message, refusal(source))
