"""What a directory says of itself, and what is refused with the reason."""

import json
from pathlib import Path

import pytest

from export.errors import SourceError
from export.source import read
from tests.checkpoints import write_bert


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_limits_come_from_sentence_transformers_and_never_exceed_positions(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    assert read(source).max_tokens == 40
    (source / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    assert read(source).max_tokens == 16
    (source / "sentence_bert_config.json").write_text('{"max_seq_length": 4096}')
    assert read(source).max_tokens == 40
    (source / "sentence_bert_config.json").write_text('{"max_seq_length": null}')
    assert read(source).max_tokens == 40


def test_both_ways_of_writing_the_pooling_mode(tmp_path: Path) -> None:
    source = write_bert(tmp_path, pooling="mean_tokens")
    assert read(source).pooling == "mean"
    (source / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    assert read(source).pooling == "cls"


@pytest.mark.parametrize("mode", ["max_tokens", "lasttoken"])
def test_an_unknown_pooling_names_the_known_ones(tmp_path: Path, mode: str) -> None:
    with pytest.raises(SourceError, match=f"pooling {mode} cannot be exported; known: mean, cls"):
        read(write_bert(tmp_path, pooling=mode))


def test_an_unknown_architecture_names_the_known_ones(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    rewrite(source / "config.json", model_type="mamba")
    with pytest.raises(SourceError, match=r"'mamba' cannot be exported; known: bert, roberta"):
        read(source)


def test_an_unknown_stage_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]')
    with pytest.raises(SourceError, match="Dense"):
        read(source)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    source = write_bert(tmp_path)
    (source / missing).unlink()
    with pytest.raises(SourceError, match=missing):
        read(source)


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    with pytest.raises(SourceError, match=r"model\.safetensors"):
        read(source)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "[]", "config.json is not what it should be"),
        ("config.json", '{"model_type": "bert"}', "hidden_size Field required"),
        ("config.json", "{", "config.json is not what it should be"),
        ("modules.json", '{"a": 1}', "modules.json is not what it should be"),
        ("sentence_bert_config.json", '{"do_lower_case": true}', "do_lower_case"),
        ("config_sentence_transformers.json", '{"default_prompt_name": "query"}', "default prompt 'query'"),
    ],
)
def test_what_is_malformed_or_not_honoured_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    source = write_bert(tmp_path)
    (source / name).write_text(text)
    with pytest.raises(SourceError, match=message):
        read(source)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path / "nowhere")
