"""Tests of exports end to end: what is sealed, and what is not."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from export import parity, pipeline, torch_export
from export.__main__ import main
from export.errors import ExportError, GraphError, ParityError, SourceError
from export.onnx_graph_utils import all_nodes
from export.options import ExportOptions
from export.pipeline import export
from export.quantization import quality
from export.targets.loader import load_target
from models.artifact.artifact_files import verify
from models.artifact.graph_inputs import output_selection_inputs, pack
from models.artifact.manifest import Manifest
from models.artifact.specs import AttentionSpec, Precision
from tests.checkpoints import WORDS, write_bert, write_roberta
from tests.export_cache import ExportCache


@pytest.fixture
def traced(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export of `tiny_source` finds its graph traced: for what is done with it then."""
    find_traced(tiny, monkeypatch)


def find_traced(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "export_to_onnx", lambda _subject, directory, **_: _copied(artifact, directory))


def _copied(artifact: Path, directory: Path) -> onnx.ModelProto:
    for name in ("model.onnx", "weights.bin"):
        shutil.copy(artifact / name, directory)
    return onnx.load(artifact / "model.onnx", load_external_data=False)


def test_default_model_is_used(minilm: Path) -> None:
    manifest = verify(minilm)
    assert (manifest.embedding.dim, manifest.embedding.pooling, manifest.embedding.normalize) == (384, "mean", True)
    assert manifest.text is not None
    assert (manifest.attention, manifest.text.max_tokens) == (AttentionSpec(heads=(12,) * 6), 256)
    assert manifest.parity.embedding_cosine
    assert manifest.parity.embedding_cosine.graph <= 1e-5
    assert manifest.parity.weights is not None
    assert manifest.parity.weights.graph <= 1e-5
    assert manifest.parity.weights.original is not None
    assert 0 < manifest.parity.weights.original <= 1e-5
    assert manifest.parity.exact_weights > 60
    assert manifest.embedding.token_embeddings == "pooled"
    assert manifest.parity.token_embeddings.graph <= 1e-5


def test_attention_is_fused_and_what_can_be_observed_waits_in_a_branch(minilm: Path) -> None:
    graph = onnx.load(minilm / "model.onnx", load_external_data=False).graph
    fused = [node for node in graph.node if node.op_type == "Attention"]
    assert len(fused) == 6
    assert all(len(node.output) == 1 for node in fused), "an output that nobody reads costs the fused kernel"
    assert "Softmax" not in {node.op_type for node in graph.node}
    assert [node.name for node in graph.node if node.op_type == "If"] == ["token_embeddings", "attention"]
    assert "Softmax" in {node.op_type for node in all_nodes(graph)}


def test_unrequested_outputs_are_not_computed(tiny: Path, tmp_path: Path) -> None:
    outputs = Manifest.read(tiny).graph.outputs
    feeds = {**pack([np.arange(5), np.arange(9)])}
    for wanted, softmaxes in (
        *(((), 0), (("token_embeddings",), 0)),
        *((("attention_weights_1",), 1), (("relevance_rollout_pooled",), 2)),
    ):
        options = onnxruntime.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(tmp_path / "profile")
        session = onnxruntime.InferenceSession(tiny / "model.onnx", options)
        answers = session.run(outputs, {**feeds, **output_selection_inputs(outputs, wanted, [3, 1])})
        profile = Path(session.end_profiling())
        events = json.loads(profile.read_text())
        kernels = [e["args"]["op_name"] for e in events if e["name"].endswith("kernel_time")]
        assert kernels.count("Softmax") == softmaxes
        assert kernels.count("If") == (len(outputs) if softmaxes else 2), (
            "one for the attention, and in it one for each"
        )
        for name, answer in zip(outputs[1:], answers[1:], strict=True):
            assert bool(answer.size) == (name in wanted)
        if wanted == ("attention_weights_1",):
            assert answers[outputs.index(*wanted)].shape == (2, 2, 9, 9), "two heads of two items"


def test_weights_lie_in_a_file_of_their_own(minilm: Path) -> None:
    initializers = onnx.load(minilm / "model.onnx", load_external_data=False).graph.initializer
    external = [{e.key: e.value for e in t.external_data} for t in initializers if t.external_data]
    assert {e["location"] for e in external} == {"weights.bin"}
    assert all(int(e["offset"]) % 4096 == 0 for e in external)
    assert (minilm / "model.onnx").stat().st_size < 1_000_000


def test_graph_carries_no_paths_of_the_machine(tiny: Path) -> None:
    assert str(Path.home()).encode() not in (tiny / "model.onnx").read_bytes()
    assert b".py" not in (tiny / "model.onnx").read_bytes()


def test_cls_model_and_a_roberta_without_sentence_transformers_files(exports: ExportCache, tmp_path: Path) -> None:
    cls = Manifest.read(exports(write_bert(tmp_path / "b", pooling="cls_token", normalize=False), "tiny"))
    assert (cls.embedding.pooling, cls.embedding.normalize) == ("cls", False)
    roberta = Manifest.read(exports(write_roberta(tmp_path / "r"), "roberta"))
    assert roberta.text is not None
    assert roberta.attention is not None
    assert (roberta.text.position_offset, roberta.text.max_tokens, roberta.attention.num_layers) == (2, 32, 3)
    assert roberta.parity.num_inputs > 16


@pytest.mark.usefixtures("traced")
def test_failed_parity_seals_nothing(tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parity.TOLERANCES["fp32"], "weights", 0.0)
    monkeypatch.setattr(parity, "TIMES_ORIGINAL", 0)
    said = r"weights \S+ > 0.0e\+00 \(error of the reference in this precision: \S+\).*; --allow-lossy exports it"
    with pytest.raises(ParityError, match=said):
        export(tiny_source, tmp_path / "artifacts" / "tiny")
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_graph_that_answers_nan_fails_parity(tiny: Path, tiny_source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = parity._run
    monkeypatch.setattr(parity, "_run", lambda *a: {name: array * np.nan for name, array in run(*a).items()})
    measured = parity.measure(tiny, load_target(tiny_source, ExportOptions()))
    with pytest.raises(ParityError, match=r"embedding nan.*embedding_cosine nan.*weights nan"):
        parity.check_tolerances(measured)
    with pytest.raises(ParityError, match=r"values that are not finite$"):
        parity.check_finite(measured)


def test_broken_weights_and_a_tokenizer_of_another_model_are_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path / "source")
    (source / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(SourceError, match=r"model\.safetensors \(15 bytes\) is cut off, or not a safetensors file"):
        export(source, tmp_path / "artifacts" / "broken")
    write_bert(source)
    tokenizer = json.loads((source / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["harbour"] = len(WORDS)
    (source / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(SourceError, match=rf"id {len(WORDS)}\b.*the model embeds {len(WORDS)}"):
        export(source, tmp_path / "artifacts" / "other")
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_unfused_attention_seals_nothing(
    tiny_conv_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that is not the expected one: an encoder without attention is the fastest to trace."""
    monkeypatch.setattr(torch_export, "count_attention_operators", lambda _model: 1)
    with pytest.raises(GraphError, match="1 fused attention operators found, 0 were expected"):
        export(tiny_conv_source, tmp_path / "artifacts" / "tiny")
    assert list((tmp_path / "artifacts").iterdir()) == []


@pytest.mark.usefixtures("traced")
def test_artifact_is_replaced_only_with_replace_option(tiny_source: Path, tmp_path: Path) -> None:
    target = tmp_path / "artifacts" / "again"
    export(tiny_source, target)
    before = (target / "manifest.json").stat().st_mtime_ns
    with pytest.raises(ExportError, match="--replace"):
        export(tiny_source, target)
    export(tiny_source, target, replace=True)
    assert (target / "manifest.json").stat().st_mtime_ns > before
    assert [p.name for p in target.parent.iterdir()] == ["again"]


@pytest.mark.usefixtures("traced")
def test_command_line_options_are_validated(
    tiny_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(tiny_source), "--name", "cli", "--artifacts", str(tmp_path)]
    assert main(arguments) == 0
    assert "sealed" in capsys.readouterr().out
    assert Manifest.read(tmp_path / "cli").name == "cli"
    assert main(arguments) == 1
    assert "exists; pass --replace" in capsys.readouterr().err


def test_artifact_is_inspected_and_verified_again(
    tiny: Path, tiny_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(tiny)]) == 0
    assert "2 fused attention operators" in capsys.readouterr().out
    assert main(["verify", str(tiny), str(tiny_source)]) == 0
    assert "answers as" in capsys.readouterr().out
    assert main(["verify", str(tiny), str(write_bert(tmp_path / "other", seed=7))]) == 1
    assert "disagrees with the float64 reference" in capsys.readouterr().err
    assert main(["verify", str(tiny), str(write_roberta(tmp_path / "roberta"))]) == 1
    assert "different are embedding, attention, limits and prompts" in capsys.readouterr().err
    assert main(["verify", str(tiny), str(write_bert(tmp_path / "cls", pooling="cls", normalize=False))]) == 1
    assert "different are embedding" in capsys.readouterr().err
    tokenizer = json.loads((tiny_source / "tokenizer.json").read_text())
    shutil.copytree(tiny_source, tmp_path / "cased")
    tokenizer["normalizer"] = None
    (tmp_path / "cased" / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert main(["verify", str(tiny), str(tmp_path / "cased")]) == 1
    assert "different are tokenizer" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path)]) == 1
    assert "manifest.json cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_reduced_precisions_are_judged_and_say_how_they_did(
    precision: Precision, exports: ExportCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_bert(tmp_path / "source", shaped=False)  # eight bits of 32 channels are not enough for outliers
    lossy, refused = tmp_path / "lossy" / "x", tmp_path / "refused" / "x"
    with monkeypatch.context() as stricter:
        stricter.setattr(quality, "MIN_MEAN_COSINE", 1.1)
        manifest = export(source, lossy, ExportOptions(precision=precision, allow_lossy=True))
        find_traced(lossy if precision == "fp16" else exports(source, "unshaped"), stricter)
        with pytest.raises(ParityError, match="mean cosine"):
            export(source, refused, ExportOptions(precision=precision))
        assert list(refused.parent.iterdir()) == []
    assert manifest.precision == precision
    assert manifest.graph.devices == ({"fp16": "cuda", "int8": "cpu"}[precision],)
    assert manifest.quality is not None
    monkeypatch.setattr(quality, "MIN_OVERLAP", 0.8)  # to fourteen words most prose is the same
    quality.check_quality(manifest.quality, precision)
    parity.check_tolerances(manifest.parity)


@pytest.mark.usefixtures("traced")
def test_lossy_is_not_broken(tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = parity._run
    monkeypatch.setattr(parity, "_run", lambda *a: {name: array * np.nan for name, array in run(*a).items()})
    with pytest.raises(ParityError, match=r"values that are not finite$"):
        export(tiny_source, tmp_path / "artifacts" / "x", ExportOptions(precision="int8", allow_lossy=True))


def test_unwritable_output_is_refused(tiny_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tiny_source), "--name", "x", "--artifacts", str(tmp_path / "file")]) == 1
    assert "cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_export_leaves_no_files_and_no_traceback(
    number: signal.Signals, tiny_source: Path, tmp_path: Path
) -> None:
    program = (  # pytest may run with SIGINT ignored, which a child inherits
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from export.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, str(tiny_source), "--name", "x", "--artifacts", str(tmp_path / "a")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("a/.x.*")):
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.01)
    process.send_signal(number)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert "Traceback" not in message
    assert message.endswith("export interrupted\n") == (number == signal.SIGINT)
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_reported_in_one_line(
    number: int, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("export.pipeline.export_to_onnx", fail)
    assert main([str(tiny_source), "--name", "x", "--artifacts", str(tmp_path / "a")]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"export failed: cannot write {tmp_path / 'a' / 'x'}: {os.strerror(number)}"
    assert list((tmp_path / "a").iterdir()) == []


def test_existing_artifact_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    program = (
        "import sys; from export.__main__ import main; "
        "code = main(sys.argv[1:]); sys.exit('torch' if 'torch' in sys.modules else code)"
    )
    command = [sys.executable, "-c", program, "source", "--name", "x", "--artifacts", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (
        1,
        f"export failed: {tmp_path / 'x'} exists; pass --replace to export it again\n",
    )


@pytest.mark.parametrize("name", ["../evil", ".hidden", "a/b", ""])
def test_name_that_leaves_the_directory_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path), "--name", name])
    assert stop.value.code == 2
