"""What a directory says of itself, and what is refused with the reason and the way out."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from export import files, hub, sentence_transformers
from export.errors import ExportError, OptionError, SourceError
from export.options import Options
from export.subjects.opening import open_subject
from export.subjects.text import TextSubject
from models.contract.manifest import TextSpec
from tests.checkpoints import WORDS, write_bert, write_roberta
from tests.hf_text import write_text


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def spec(source: Path, **options: Any) -> TextSpec:
    subject = open_subject(source, Options(**options))
    assert isinstance(subject, TextSubject)
    assert subject.text is not None
    return subject.text


def test_limits_come_from_sentence_transformers_and_never_exceed_positions(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    assert spec(source).max_tokens == 40
    for said, meant in (("16", 16), ("4096", 40), ("null", 40)):
        (source / "sentence_bert_config.json").write_text(f'{{"max_seq_length": {said}}}')
        assert spec(source).max_tokens == meant
    assert spec(source, max_tokens=8).max_tokens == 8
    with pytest.raises(OptionError, match="max-tokens 41 is more than the 40 positions"):
        spec(source, max_tokens=41)


def test_positions_start_behind_the_padding_of_roberta(tmp_path: Path) -> None:
    text = spec(write_roberta(tmp_path))
    assert (text.position_offset, text.max_tokens) == (2, 32)


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


def test_a_source_with_two_towers_has_to_be_told_which(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--modality"):
        open_subject(write_text("clip", tmp_path), Options())


def test_texts_of_siglip_are_padded(tmp_path: Path) -> None:
    text = spec(write_text("siglip", tmp_path), modality="text")
    assert (text.padding_id, text.max_tokens, text.vocabulary_size) == (0, 40, len(WORDS))


@pytest.mark.parametrize("mode", ["max_tokens", "weightedmean_tokens"])
def test_an_unknown_pooling_names_the_known_ones(tmp_path: Path, mode: str) -> None:
    with pytest.raises(SourceError, match=f"pooling {mode} cannot be exported; known: mean, cls, lasttoken"):
        open_subject(write_bert(tmp_path, pooling=mode), Options())


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    source = write_bert(tmp_path)
    (source / missing).unlink()
    with pytest.raises(SourceError, match=missing):
        open_subject(source, Options())


def test_pickled_weights_are_not_read_and_the_way_out_is_told(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    with pytest.raises(SourceError, match=r"pytorch_model\.bin is pickled.*save_pretrained"):
        open_subject(source, Options())


def test_a_link_out_of_the_directory_is_refused_and_a_hubs_cache_is_not(tmp_path: Path) -> None:
    source = write_bert(tmp_path / "models--a--b" / "snapshots" / "1")
    blob = tmp_path / "models--a--b" / "blobs" / "2"
    blob.parent.mkdir()
    (source / "model.safetensors").rename(blob)
    (source / "model.safetensors").symlink_to(blob)
    files.check(source)
    (source / "model.safetensors").unlink()
    (source / "model.safetensors").symlink_to(blob.rename(tmp_path / "elsewhere"))
    with pytest.raises(SourceError, match=r"model\.safetensors is a link out of the directory"):
        files.check(source)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../model.safetensors", "not a file beside it"),
        ("/etc/passwd", "not a file beside it"),
        ("a/b.safetensors", "not a file beside it"),
        ("evil.bin", "pickled and never opened"),
        ("absent.safetensors", r"has no absent\.safetensors"),
    ],
)
@pytest.mark.parametrize("index", ["model.safetensors.index.json", "w.safetensors.index.json"])
def test_a_shard_that_is_elsewhere_or_no_safetensors_is_refused(
    tmp_path: Path, index: str, name: str, message: str
) -> None:
    source = write_bert(tmp_path)
    (source / "evil.bin").write_bytes(b"pickled")
    (source / index).write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(SourceError, match=message):
        open_subject(source, Options())


def test_links_in_a_loop_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "extra").symlink_to(source / "extra")
    with pytest.raises(SourceError, match="extra is a link that leads nowhere"):
        files.check(source)
    (source / "extra").unlink()
    os.mkfifo(source / "extra")
    with pytest.raises(SourceError, match="extra is neither a file nor a folder"):
        files.check(source)


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
    with pytest.raises(ExportError) as refusal:
        open_subject(source, Options())
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("padding", [None, -5])
def test_a_roberta_without_padding_is_refused(tmp_path: Path, padding: int | None) -> None:
    source = write_roberta(tmp_path)
    rewrite(source / "config.json", pad_token_id=padding)
    with pytest.raises(SourceError, match=r"config\.json"):
        open_subject(source, Options())


def test_an_adapter_is_refused(tmp_path: Path) -> None:
    (write_bert(tmp_path) / "adapter_config.json").write_text("{}")
    with pytest.raises(SourceError, match=r"adapter_config\.json is of an adapter; merge it"):
        open_subject(tmp_path, Options())


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


def test_an_id_is_asked_of_the_hub_and_nothing_pickled_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def fetch(source: str, *, allow_patterns: list[str]) -> str:
        asked[source] = allow_patterns
        return str(tmp_path)

    def unreachable(source: str, *, allow_patterns: list[str]) -> str:
        raise LocalEntryNotFoundError("no network\nat all")

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    assert hub.local("owner/model") == tmp_path
    assert not [pattern for pattern in asked["owner/model"] if not pattern.endswith((".json", ".safetensors"))]
    assert hub.local(str(tmp_path)) == tmp_path
    assert hub.local("no/such/directory") == Path("no/such/directory")
    monkeypatch.setattr(hub, "snapshot_download", unreachable)
    with pytest.raises(SourceError, match="owner/model is no directory, and no model of that id could be fetched: no"):
        hub.local("owner/model")


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    path = write_bert(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceError, match="cannot be loaded"):
        open_subject(tmp_path, Options())


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


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "[]", r"config\.json"),
        ("config.json", "{", r"config\.json"),
        ("config.json", '{"model_type": "mamba"}', r"'mamba' in .*config\.json cannot be exported; text: bert"),
        ("config.json", '{"model_type": "nonesuch"}', r"config\.json cannot be read: .*nonesuch"),
        ("modules.json", '{"a": 1}', r"modules\.json is not what it should be"),
        ("modules.json", '[{"type": "a.Dense", "path": "2_Dense"}]', "stages that cannot be exported: Dense"),
        ("modules.json", '[{"type": "a.Pooling", "path": "../p"}]', "not a folder beside it"),
        ("modules.json", '[{"type": "a.Transformer", "path": "0_T"}]', "export that directory"),
        ("config_sentence_transformers.json", '{"default_prompt_name": "query"}', "the default prompt 'query'"),
        ("tokenizer.json", "{}", r"tokenizer\.json cannot be read"),
        ("tokenizer.json", '{"version": "1.0"', r"tokenizer\.json cannot be read"),
    ],
)
def test_what_is_malformed_or_unknown_is_refused_in_one_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    source = write_bert(tmp_path / "source")
    (source / name).write_text(text)
    (tmp_path / "staged").mkdir()
    with pytest.raises(ExportError, match=message) as refusal:
        open_subject(source, Options()).copy_files(tmp_path / "staged")
    assert "\n" not in str(refusal.value)


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    rewrite(source / "config.json", auto_map={"AutoModel": "modeling.Evil"})
    (source / "modeling.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(SourceError, match=r"auto_map.*never run; remove the entry if transformers' own 'bert'"):
        open_subject(source, Options())


def test_a_prompt_left_out_of_the_pooling_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "config_sentence_transformers.json").write_text('{"prompts": {"query": "q: "}}')
    (source / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean", "include_prompt": false}')
    with pytest.raises(SourceError, match="include_prompt"):
        open_subject(source, Options())


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    with pytest.raises(OptionError, match="takes text, not image"):
        open_subject(source, Options(modality="image"))
    with pytest.raises(OptionError, match="precision int8 is for cpu, not for cuda"):
        Options(precision="int8", device="cuda").chosen_precision()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no directory"):
        open_subject(tmp_path / "nowhere", Options())
