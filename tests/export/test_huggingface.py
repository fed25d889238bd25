"""What a Hugging Face directory's config and weights say of the encoder, and which are refused."""

import re
from pathlib import Path

import pytest

from export.errors import OptionError, SourceError
from export.options import Options
from export.subjects.opening import open_subject
from tests.checkpoints import WORDS, write_bert, write_roberta
from tests.export.sources import refusal, rewrite, spec
from tests.hf_text import write_text


def test_positions_start_behind_the_padding_of_roberta(tmp_path: Path) -> None:
    text = spec(write_roberta(tmp_path))
    assert (text.position_offset, text.max_tokens) == (2, 32)


@pytest.mark.parametrize("padding", [None, -5])
def test_a_roberta_without_padding_is_refused(tmp_path: Path, padding: int | None) -> None:
    source = write_roberta(tmp_path)
    rewrite(source / "config.json", pad_token_id=padding)
    with pytest.raises(SourceError, match=r"config\.json"):
        open_subject(source, Options())


def test_texts_of_siglip_are_padded(tmp_path: Path) -> None:
    text = spec(write_text("siglip", tmp_path), modality="text")
    assert (text.padding_id, text.max_tokens, text.vocabulary_size) == (0, 40, len(WORDS))


def test_a_source_with_two_towers_has_to_be_told_which(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--modality"):
        open_subject(write_text("clip", tmp_path), Options())


def test_a_source_takes_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="takes text, not image"):
        open_subject(write_bert(tmp_path), Options(modality="image"))


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "abc"},
        {"hidden_act": None},
        {"hidden_act": "nonsense"},
        {"num_attention_heads": 0},
        {"num_attention_heads": 5},
        {"num_hidden_layers": 0},
        {"num_hidden_layers": -1},
        {"vocab_size": 0},
        {"vocab_size": None},
        {"max_position_embeddings": None},
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"quantization_config": "x"},
        {"transformers_weights": "w.safetensors.index.json"},
        {"model_type": "gpt2", "architectures": ["bert"]},
        {"model_type": 5},
    ],
    ids=str,
)
def test_a_config_that_cannot_be_is_refused_in_one_line(tmp_path: Path, changes: dict[str, object]) -> None:
    source = write_bert(tmp_path)
    rewrite(source / "config.json", **changes)
    assert refusal(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"config\.json"),
        ("{", r"config\.json"),
        ('{"model_type": "mamba"}', r"'mamba' in .*config\.json cannot be exported; text: bert"),
        ('{"model_type": "nonesuch"}', r"config\.json cannot be read: .*nonesuch"),
        ('{"hidden_size": 32}', r"config\.json has no model_type; add"),
    ],
)
def test_a_config_that_is_malformed_or_of_an_unknown_model_is_refused(tmp_path: Path, text: str, message: str) -> None:
    source = write_bert(tmp_path)
    (source / "config.json").write_text(text)
    assert re.search(message, refusal(source))


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    rewrite(source / "config.json", auto_map={"AutoModel": "modeling.Evil"})
    (source / "modeling.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(SourceError, match=r"auto_map.*never run; remove the entry if transformers' own 'bert'"):
        open_subject(source, Options())


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("new", "Alibaba-NLP/new-impl--modeling.NewModel", r"Alibaba-NLP/new-impl\) and is never run; .*'gte'"),
        ("own", "modeling.OwnModel", r"modeling\.OwnModel\) and is never run; .*a model_type of transformers"),
    ],
)
def test_model_whose_code_is_elsewhere_is_refused_in_a_whole_sentence(
    tmp_path: Path, kind: str, code: str, message: str
) -> None:
    source = write_bert(tmp_path)
    rewrite(source / "config.json", model_type=kind, auto_map={"AutoConfig": code, "AutoModel": code})
    assert re.search(rf"config\.json has the model_type '{kind}', whose code is elsewhere .*{message}", refusal(source))


def test_weights_of_another_size_are_refused_by_name(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    rewrite(source / "config.json", intermediate_size=65)
    with pytest.raises(SourceError, match=r"have encoder\.layer\.0\..*bias of \[64\], its config says \[65\]"):
        open_subject(source, Options())


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    rewrite(source / "config.json", num_hidden_layers=3)
    with pytest.raises(SourceError, match=r"lack encoder\.layer\.2\..* and \d+ more"):
        open_subject(source, Options())
