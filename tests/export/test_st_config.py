"""Tests of sentence-transformers' files: pooling, normalization and limits, unless an option overrides them."""

import json
import re
from pathlib import Path

import pytest

from export import source_layout, st_config
from export.errors import OptionError, SourceError
from export.options import ExportOptions
from export.targets.loader import load_target
from tests import hf_vision
from tests.checkpoints import write_bert
from tests.dense import write_dense
from tests.export.sources import (
    export_error,
    move_encoder_to_folder,
    open_source,
    remove_st_files,
    text_spec,
    update_json,
    write_json,
    write_modules,
)
from tests.hf_text import write_text

_OLD = "sentence_transformers.models"
_BASE = "sentence_transformers.base.modules"
_OWN = "sentence_transformers.sentence_transformer.modules"


def test_limits_come_from_sentence_transformers_and_never_exceed_positions(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    assert text_spec(source).max_tokens == 40
    for said, meant in (("16", 16), ("4096", 40), ("null", 40)):
        (source / "sentence_bert_config.json").write_text(f'{{"max_seq_length": {said}}}')
        assert text_spec(source).max_tokens == meant
    assert text_spec(source, max_tokens=8).max_tokens == 8
    with pytest.raises(OptionError, match="max-tokens 41 is more than the 40 positions"):
        text_spec(source, max_tokens=41)


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ('{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}', "mean"),
        ('{"pooling_mode": "cls"}', "cls"),
        ('{"pooling_mode_lasttoken": true}', "last"),
        ('{"pooling_mode_cls_token": true}', "cls"),  # releases before 5.4 took the absent mean as on
    ],
)
def test_pooling_mode_is_read_in_both_notations(tmp_path: Path, config: str, pooling: str) -> None:
    source = write_bert(tmp_path)
    (source / "1_Pooling" / "config.json").write_text(config)
    assert st_config.read_st_config(source_layout.find_layout(source)).pooling == pooling
    assert load_target(source, ExportOptions()).embedding_spec("x").pooling == pooling
    assert load_target(source, ExportOptions(pooling="cls")).embedding_spec("x").pooling == "cls"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_weightedmean_tokens": True}, "weightedmean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "cls+mean"),
        ({"pooling_mode": ["mean", "max"]}, "mean+max"),
        ({"pooling_mode": "nonsense"}, "nonsense"),
        ({"pooling_mode": 3}, "3"),
    ],
)
def test_pooling_that_cannot_be_exported_is_refused_unless_one_is_asked_for(
    tmp_path: Path, config: dict[str, object], named: str
) -> None:
    source = write_bert(tmp_path)
    write_json(source / "1_Pooling" / "config.json", config)
    said = export_error(source)
    assert f"1_Pooling/config.json: pooling {named} cannot be exported; known: mean, cls, lasttoken; --pooling" in said
    assert open_source(source, pooling="mean").embedding_spec("x").pooling == "mean"


@pytest.mark.parametrize("config", [{}, {"word_embedding_dimension": 32}, {"pooling_mode_cls_token": False}])
def test_pooling_without_a_mode_is_the_mean_as_in_sentence_transformers(
    tmp_path: Path, config: dict[str, object]
) -> None:
    source = write_bert(tmp_path)
    write_json(source / "1_Pooling" / "config.json", config)
    assert open_source(source).embedding_spec("x").pooling == "mean"


def test_sum_over_the_root_of_the_count_is_a_mean_where_the_length_is_lost(tmp_path: Path) -> None:
    source = write_bert(tmp_path / "a", pooling="mean_sqrt_len_tokens")
    assert open_source(source).embedding_spec("x").pooling == "mean"
    assert "pooling mean_sqrt_len_tokens cannot be exported" in export_error(source, normalize=False)
    long = write_bert(tmp_path / "b", pooling="mean_sqrt_len_tokens", normalize=False)
    assert "pooling mean_sqrt_len_tokens cannot be exported" in export_error(long)
    assert open_source(long, normalize=True).embedding_spec("x").normalize


def test_option_replaces_the_normalization_of_the_source(tmp_path: Path) -> None:
    source = write_bert(tmp_path, normalize=False)
    assert not load_target(source, ExportOptions()).embedding_spec("x").normalize
    assert load_target(source, ExportOptions(normalize=True)).embedding_spec("x").normalize


def test_prompts_and_lower_case_are_honoured(tmp_path: Path) -> None:
    source = write_bert(tmp_path / "source")
    prompts = {"query": "query: ", "passage": "passage: "}
    (source / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": prompts, "default_prompt_name": "query"})
    )
    text = text_spec(source)
    assert (text.prompts, text.default_prompt) == (prompts, "query")
    (source / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    update_json(source / "tokenizer.json", normalizer=None)
    subject = load_target(source, ExportOptions())
    (tmp_path / "staged").mkdir()
    subject.copy_files(tmp_path / "staged")
    normalizer = json.loads((tmp_path / "staged" / "tokenizer.json").read_text())["normalizer"]
    assert normalizer == {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}


def test_prompt_left_out_of_the_pooling_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    (source / "config_sentence_transformers.json").write_text('{"prompts": {"query": "q: "}}')
    (source / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean", "include_prompt": false}')
    with pytest.raises(SourceError, match="include_prompt"):
        load_target(source, ExportOptions())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("modules.json", '{"a": 1}', r"modules\.json is invalid"),
        ("modules.json", "[]", r"modules\.json lists no stage"),
        ("modules.json", f'[{{"type": "{_OLD}.Transformer", "path": "../p"}}]', "not a folder of the source"),
        ("modules.json", f'[{{"type": "{_OLD}.Transformer", "path": "0_T"}}]', "0_T does not exist"),
        ("modules.json", f'[{{"type": "{_OLD}.Transformer"}}]', "has no Pooling stage; choose one with --pooling"),
        ("config_sentence_transformers.json", '{"default_prompt_name": "query"}', "the default prompt 'query'"),
    ],
)
def test_files_that_are_malformed_or_ask_for_what_is_not_done_are_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    source = write_bert(tmp_path)
    (source / name).write_text(text)
    assert re.search(message, export_error(source))


@pytest.mark.parametrize(
    "types",
    [
        (f"{_OLD}.Transformer", f"{_OLD}.Pooling", f"{_OLD}.Normalize"),
        (f"{_OLD}.Transformer.Transformer", f"{_OLD}.Pooling.Pooling", f"{_OLD}.Normalize.Normalize"),
        (f"{_OWN}.transformer.Transformer", f"{_OWN}.pooling.Pooling", f"{_OWN}.normalize.Normalize"),
        (f"{_BASE}.transformer.Transformer", f"{_OWN}.pooling.Pooling", f"{_BASE}.normalize.Normalize"),
        (f"{_OWN}.Transformer", f"{_OWN}.Pooling", f"{_BASE}.Normalize"),
        (f"{_OLD}.Transformer", f"{_OLD}.Pooling", f"{_OLD}.Dropout", f"{_OLD}.Normalize"),
        (f"{_OLD}.Transformer", f"{_OLD}.Pooling", f"{_OLD}.Normalize", f"{_OLD}.Normalize"),
    ],
)
def test_classes_of_every_release_are_known(tmp_path: Path, types: tuple[str, ...]) -> None:
    embedding = open_source(write_modules(write_bert(tmp_path, pooling="cls_token"), *types)).embedding_spec("x")
    assert (embedding.pooling, embedding.normalize) == ("cls", True)


@pytest.mark.parametrize(
    "type_path",
    ["custom_st.Transformer", "my.sentence_transformers.models.Transformer", "Transformer",
     "modeling.sentence_transformers.Transformer", "sentence_transformers_ext.models.Transformer"],
)  # fmt: skip
def test_class_of_its_own_is_refused(tmp_path: Path, type_path: str) -> None:
    source = write_bert(tmp_path)
    write_json(
        source / "modules.json", [{"type": type_path, "path": ""}, {"type": f"{_OLD}.Pooling", "path": "1_Pooling"}]
    )
    said = export_error(source)
    assert f"modules.json has the type {type_path!r}, a class of its own, whose code is never run" in said


@pytest.mark.parametrize(
    "name",
    ["LayerNorm", "WeightedLayerPooling", "CNN", "LSTM", "BoW", "WordEmbeddings", "WordWeights", "Router", "Asym",
     "StaticEmbedding", "BERT", "Unheard"],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1, 2])
def test_stage_that_cannot_be_exported_is_refused_by_class(tmp_path: Path, name: str, place: int) -> None:
    types = ["Transformer", "Pooling", "Normalize"]
    types[place] = name
    said = export_error(write_modules(write_bert(tmp_path), *types))
    assert f"modules.json has an unsupported stage: {_OLD}.{name}; supported: Transformer" in said


@pytest.mark.parametrize(
    "types",
    [
        ("Transformer", "Normalize", "Pooling"),
        ("Transformer", "Dense", "Pooling"),
        ("Transformer", "Pooling", "Normalize", "Dense"),
        ("Transformer", "Pooling", "Pooling"),
        ("Transformer", "Transformer", "Pooling"),
        ("Pooling", "Normalize"),
        ("Dense",),
    ],
)
def test_order_that_is_not_implemented_is_refused(tmp_path: Path, types: tuple[str, ...]) -> None:
    assert re.search(
        r"modules\.json (has the stages .*, an order that cannot|begins with)",
        export_error(write_modules(write_bert(tmp_path), *types)),
    )


def _dense(directory: Path, **config: object) -> Path:
    source = write_modules(write_bert(directory), "Transformer", "Pooling", "Dense", "Dense", "Normalize")
    for folder in ("2_Dense", "3_Dense"):
        entries = {"in_features": 32, "out_features": 32, "bias": True, "activation_function": "torch.nn.Tanh"}
        write_json(source / folder / "config.json", {**entries, **config})
    return source


def test_dense_stages_are_named_in_order(tmp_path: Path) -> None:
    source = _dense(tmp_path, module_input_name="sentence_embedding")
    config = st_config.read_st_config(source_layout.find_layout(source))
    assert config.dense_folders == (source / "2_Dense", source / "3_Dense")
    assert (config.pooling, config.normalize) == ("mean", True)


@pytest.mark.parametrize("entry", ["module_input_name", "module_output_name"])
def test_dense_over_tokens_is_refused(tmp_path: Path, entry: str) -> None:
    source = _dense(tmp_path, **{entry: "token_embeddings"})
    assert re.search(r"2_Dense/config\.json is for token_embeddings, not for the vector", export_error(source))


def test_normalization_of_tokens_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    write_json(source / "2_Normalize" / "config.json", {"module_input_name": "token_embeddings"})
    assert re.search(r"2_Normalize/config\.json is for token_embeddings", export_error(source))


_NAMES = ["bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"]


@pytest.mark.parametrize("kind", _NAMES)
def test_older_names_of_the_encoders_file_are_read(tmp_path: Path, kind: str) -> None:
    source = write_bert(tmp_path)
    write_json(source / f"sentence_{kind}_config.json", {"max_seq_length": 8, "do_lower_case": True})
    config = st_config.read_st_config(source_layout.find_layout(source))
    assert (config.max_tokens, config.lower_case) == (8, True)


def test_first_name_with_entries_wins(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    for i, kind in reversed(list(enumerate(_NAMES))):
        write_json(source / f"sentence_{kind}_config.json", {"max_seq_length": 10 + i})
        assert text_spec(source).max_tokens == 10 + i
    write_json(source / "sentence_bert_config.json", {})
    assert text_spec(source).max_tokens == 11


@pytest.mark.parametrize(
    "entries",
    [
        {"model_args": {"torch_dtype": "float16", "attn_implementation": "sdpa"}},
        {"model_kwargs": {"add_pooling_layer": False}, "config_kwargs": {}, "processor_kwargs": {"use_fast": True}},
        {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings", "unpad_inputs": False,
         "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}},
        {"processing_kwargs": {"chat_template": {"add_generation_prompt": True}}, "query_length": None},
    ],
)  # fmt: skip
def test_entries_that_change_no_vector_are_taken(tmp_path: Path, entries: dict[str, object]) -> None:
    source = write_bert(tmp_path)
    write_json(source / "sentence_bert_config.json", {"max_seq_length": 8, **entries})
    assert text_spec(source).max_tokens == 8


@pytest.mark.parametrize("entry", ["tokenizer_args", "processor_kwargs"])
def test_length_among_the_tokenizers_arguments_is_read(tmp_path: Path, entry: str) -> None:
    source = write_bert(tmp_path)
    write_json(source / "sentence_bert_config.json", {entry: {"model_max_length": 9}})
    assert text_spec(source).max_tokens == 9


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"transformer_task": "fill-mask"}, "transformer_task: fill-mask"),
        ({"model_args": {"default_task": "retrieval"}}, "model_args.default_task"),
        ({"config_kwargs": {"is_causal": False}}, "config_kwargs.is_causal"),
        ({"config_args": {"use_bidirectional_attention": True}}, "config_args.use_bidirectional_attention"),
        ({"tokenizer_args": {"truncation_side": "left"}}, "tokenizer_args.truncation_side"),
        ({"tokenizer_name_or_path": "other/model"}, "tokenizer_name_or_path"),
        ({"query_length": 32}, "query_length"),
        ({"query_expansion": {"strategy": "fixed", "length": 32}}, "query_expansion"),
        ({"processing_kwargs": {"text": {"max_length": 4}}}, "processing_kwargs"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"module_output_name": "token_embeddings",
          "modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}}},
         "modality_config.text"),
        ({"modality_config": {"message": {"method": "forward", "method_output_name": "last_hidden_state"}}},
         "no modality_config for text"),
    ],
)  # fmt: skip
def test_entries_that_would_change_vectors_are_refused(tmp_path: Path, entries: dict[str, object], named: str) -> None:
    source = write_bert(tmp_path)
    write_json(source / "sentence_bert_config.json", entries)
    assert re.search(rf"sentence_bert_config\.json has .*{re.escape(named.removeprefix('no '))}", export_error(source))


def test_prompts_without_text_are_none(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    prompts = {"query": "query: ", "document": None}
    write_json(source / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": None})
    assert text_spec(source).prompts == {"query": "query: "}


@pytest.mark.parametrize("inner", [False, True])
def test_encoder_in_a_folder_is_exported_by_the_root_and_by_the_folder(tmp_path: Path, inner: bool) -> None:
    source = move_encoder_to_folder(write_bert(tmp_path, pooling="cls_token", normalize=False), "0_Transformer")
    write_json(source / "0_Transformer" / "sentence_bert_config.json", {"max_seq_length": 16})
    subject = open_source(source / "0_Transformer" if inner else source)
    embedding = subject.embedding_spec("x")
    assert subject.text is not None
    assert (embedding.pooling, embedding.normalize, subject.text.max_tokens) == ("cls", False, 16)
    assert bool(subject.notes) == inner


def test_folder_is_seen_from_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = move_encoder_to_folder(write_bert(tmp_path, pooling="cls_token"), "0_Transformer")
    monkeypatch.chdir(source / "0_Transformer")
    assert open_source(Path()).embedding_spec("x").pooling == "cls"


def test_sibling_folder_does_not_change_pooling(tmp_path: Path) -> None:
    write_bert(tmp_path, pooling="cls_token")
    other = remove_st_files(write_bert(tmp_path / "other"))
    assert open_source(other).embedding_spec("x").pooling == "mean"


def test_pooling_folder_without_modules_is_read_with_a_note(tmp_path: Path) -> None:
    source = write_bert(tmp_path, pooling="cls_token")
    (source / "modules.json").unlink()
    subject = open_source(source)
    assert (subject.embedding_spec("x").pooling, subject.embedding_spec("x").normalize) == ("cls", True)
    assert "cls pooling is of 1_Pooling; there is no modules.json" in subject.notes
    assert not open_source(source, normalize=False).embedding_spec("x").normalize
    assert not open_source(source, pooling="mean").notes


def test_pooling_folder_is_read_with_a_note_where_the_task_leaves_modules_out(tmp_path: Path) -> None:
    source = write_bert(tmp_path, pooling="cls_token")
    write_json(source / "config_sentence_transformers.json", {"model_type": "CrossEncoder"})
    notes = open_source(source, task="embed").notes
    assert "cls pooling is of 1_Pooling; modules.json is left out by --task embed" in notes


@pytest.mark.parametrize("folder", ["", "0_CLIPModel"])
def test_clip_as_sentence_transformers_lays_it_out(tmp_path: Path, folder: str) -> None:
    source = write_modules(write_text("clip", tmp_path), "CLIPModel")
    if folder:
        move_encoder_to_folder(source, folder)
    assert "--modality" in export_error(source)
    embedding = open_source(source, modality="text").embedding_spec("x")
    assert (embedding.dim, embedding.pooling, embedding.normalize) == (24, "last", False)
    write_modules(source, "CLIPModel", "Pooling")
    if not folder:
        assert "has pooled" in export_error(source, modality="text")


def test_clip_as_newer_releases_write_it(tmp_path: Path) -> None:
    source = write_modules(
        write_text("clip", tmp_path), f"{_BASE}.transformer.Transformer", f"{_BASE}.normalize.Normalize"
    )
    methods = {kind: {"method": f"get_{kind}_features", "method_output_name": "pooler_output"}
               for kind in ("text", "image")}  # fmt: skip
    entries = {"modality_config": methods, "module_output_name": "sentence_embedding"}
    write_json(source / "sentence_bert_config.json", entries)
    assert open_source(source, modality="text").embedding_spec("x").normalize


def test_image_tower_takes_its_normalization_from_the_stages(tmp_path: Path) -> None:
    hf_vision.write_checkpoint("clip", tmp_path)
    assert open_source(tmp_path, modality="image").embedding_spec("x").normalize
    write_modules(tmp_path, "CLIPModel")
    assert not open_source(tmp_path, modality="image").embedding_spec("x").normalize
    assert open_source(tmp_path, modality="image", normalize=True).embedding_spec("x").normalize


@pytest.mark.parametrize("modality", ["text", "image"])
def test_vectors_that_are_cut_are_refused(tmp_path: Path, modality: str) -> None:
    source = tmp_path
    if modality == "text":
        write_bert(source)
    else:
        hf_vision.write_checkpoint("clip", source)
    width = open_source(source, modality=modality).embedding_spec("x").dim
    for cut in (width - 1, 0, -4):
        write_json(source / "config_sentence_transformers.json", {"truncate_dim": cut})
        message = rf"config_sentence_transformers\.json has truncate_dim: {cut}, .* {width} values; remove .*dimensions"
        assert re.search(message, export_error(source, modality=modality))
    for whole in (width, None):
        write_json(source / "config_sentence_transformers.json", {"truncate_dim": whole})
        open_source(source, modality=modality)


def test_width_that_is_cut_is_that_behind_the_dense_stages(tmp_path: Path) -> None:
    source = write_modules(write_bert(tmp_path), "Transformer", "Pooling", "Dense")
    write_dense(source / "2_Dense", 32, 12)
    write_json(source / "config_sentence_transformers.json", {"truncate_dim": 12})
    open_source(source)
    write_json(source / "config_sentence_transformers.json", {"truncate_dim": 8})
    assert "cuts vectors of 12 values" in export_error(source)


def test_dense_stage_without_modules_is_of_half_a_copy(tmp_path: Path) -> None:
    source = remove_st_files(write_bert(tmp_path))
    write_dense(source / "2_Dense", 32, 12)
    assert re.search(r"2_Dense is of a Dense stage, and modules\.json.* is missing", export_error(source))


def test_files_without_modules_json_are_noted(tmp_path: Path) -> None:
    source = write_bert(tmp_path)
    write_json(source / "config_sentence_transformers.json", {"prompts": {"query": "the ", "document": ""}})
    write_json(source / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False})
    assert not open_source(source).notes
    remove_st_files(source)
    assert open_source(source).notes == (
        "prompts of config_sentence_transformers.json apply; sentence-transformers ignores them without a modules.json",
        "max_seq_length of sentence_bert_config.json apply; sentence-transformers ignores them without a modules.json",
    )
    write_json(source / "config_sentence_transformers.json", {"prompts": {"query": "", "document": ""}})
    write_json(source / "sentence_bert_config.json", {"max_seq_length": None})
    assert not open_source(source).notes
