"""The export from end to end: read, load, trace, share weights, compare, seal."""

import shutil
from importlib.metadata import version
from pathlib import Path

import onnx
from safetensors import SafetensorError
from transformers import PreTrainedModel

from export import parity, seal
from export.errors import SourceError
from export.graphs import AttendGraph, EmbedGraph, attention_operators, to_onnx
from export.progress import Progress
from export.source import Source, read
from export.weights import share_weights
from models.contract.artifact import ATTEND_GRAPH, EMBED_GRAPH, TOKENIZER_FILE
from models.contract.manifest import AttentionSpec, EmbeddingSpec, GraphSpec, Manifest, Parity, TextSpec
from models.preprocess.text import TextPreprocessor
from models.pretrained import PACKED, PackedTextEncoder, load

TOOLS = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "tokenizers")
STEPS = 6


def export(directory: Path, target: Path, *, replace: bool = False, progress: Progress | None = None) -> Manifest:
    """Turn the encoder in `directory` into the sealed artifact `target`, whose last part is the model's name.

    Raises ExportError (see `export.errors`) and leaves nothing behind when any step fails.
    """
    step = progress or Progress(STEPS)
    with seal.staging(target, replace=replace) as staged:
        with step("read the source"):
            source = read(directory)
        with step("load the encoder"):
            encoder = PackedTextEncoder(_load(source), source.pooling)
        with step("trace embed.onnx"):
            graphs = {EMBED_GRAPH: to_onnx(EmbedGraph(encoder), source)}
        with step("trace attend.onnx"):
            graphs[ATTEND_GRAPH] = to_onnx(AttendGraph(encoder, source.layers), source)
        with step("compare with the original"):
            share_weights(graphs, staged)
            _copy_tokenizer(source, staged)
            figures = parity.measure(staged, source)
        with step("seal"):
            manifest = _manifest(target.name, source, graphs, figures, staged)
            seal.seal(staged, target, manifest)
    return manifest


def _load(source: Source) -> PreTrainedModel:
    try:
        return load(source.directory, attention=PACKED)
    except (OSError, RuntimeError, SafetensorError, ValueError) as error:
        raise SourceError(f"the weights cannot be loaded: {error}") from error


def _copy_tokenizer(source: Source, staged: Path) -> None:
    """Copy tokenizer.json, and open it: what the service could not read, or not embed, must not be sealed."""
    path = staged / TOKENIZER_FILE
    shutil.copyfile(source.directory / TOKENIZER_FILE, path)
    largest = TextPreprocessor(path, max_tokens=source.max_tokens).largest_id
    if largest >= source.vocabulary_size:
        raise SourceError(f"{TOKENIZER_FILE} has the id {largest}, the model embeds {source.vocabulary_size}")


def _manifest(name: str, source: Source, graphs: dict[str, onnx.ModelProto], figures: Parity, staged: Path) -> Manifest:
    return Manifest(
        name=name,
        modality="text",
        architecture=source.architecture,
        precision="fp32",
        embedding=EmbeddingSpec(width=source.width, pooling=source.pooling, normalize=source.normalize),
        attention=AttentionSpec(layers=source.layers, heads=source.heads),
        text=TextSpec(
            max_tokens=source.max_tokens,
            vocabulary_size=source.vocabulary_size,
            position_offset=source.position_offset,
        ),
        graphs={
            EMBED_GRAPH: _graph(graphs[EMBED_GRAPH], "cpu", "cuda"),
            ATTEND_GRAPH: _graph(graphs[ATTEND_GRAPH], "cpu"),
        },
        parity=figures,
        tools={tool: version(tool) for tool in TOOLS},
        files=seal.digests(staged),
    )


def _graph(model: onnx.ModelProto, *devices: str) -> GraphSpec:
    return GraphSpec(
        devices=devices,
        outputs=tuple(output.name for output in model.graph.output),
        attention_operators=attention_operators(model),
    )
