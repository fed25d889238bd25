"""The export from end to end: read, trace, share weights, compare, seal."""

from importlib.metadata import version
from pathlib import Path

import onnx

from export import parity, seal
from export.graphs import attention_operators, to_onnx
from export.progress import Progress
from export.subjects.base import Subject
from export.subjects.opening import open_subject
from export.weights import share_weights
from models.contract.manifest import ATTEND_GRAPH, EMBED_GRAPH, Device, GraphFile, GraphSpec, Manifest, Parity

TOOLS = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "tokenizers")
STEPS = 5

DEVICES: dict[GraphFile, tuple[Device, ...]] = {EMBED_GRAPH: ("cpu", "cuda"), ATTEND_GRAPH: ("cpu",)}
"""The operator's weights output exists on CPU only (`export.spelling`)."""


def export(directory: Path, target: Path, *, replace: bool = False, progress: Progress | None = None) -> Manifest:
    """Turn the encoder in `directory` into the sealed artifact `target`, whose last part is the model's name.

    Raises ExportError (see `export.errors`) and leaves nothing behind when any step fails.
    """
    step = progress or Progress(STEPS)
    with seal.staging(target, replace=replace) as staged:
        with step("load the encoder"):
            subject = open_subject(directory)
        with step("trace embed.onnx"):
            graphs: dict[GraphFile, onnx.ModelProto] = {EMBED_GRAPH: to_onnx(subject, watching=False)}
        with step("trace attend.onnx" if subject.attention else "no attention: no attend.onnx"):
            if subject.attention:
                graphs[ATTEND_GRAPH] = to_onnx(subject, watching=True)
        with step("compare with the original"):
            share_weights(graphs, staged)
            subject.copy_files(staged)
            figures = parity.measure(staged, subject)
        with step("seal"):
            manifest = _manifest(target.name, subject, graphs, figures, staged)
            seal.seal(staged, target, manifest)
    return manifest


def _manifest(
    name: str, subject: Subject, graphs: dict[GraphFile, onnx.ModelProto], figures: Parity, staged: Path
) -> Manifest:
    return Manifest(
        name=name,
        modality=subject.modality,
        architecture=subject.architecture,
        precision="fp32",
        embedding=subject.embedding(name),
        attention=subject.attention,
        text=subject.text,
        image=subject.image,
        graphs={file: _graph(model, DEVICES[file]) for file, model in graphs.items()},
        parity=figures,
        tools={tool: version(tool) for tool in TOOLS},
        files=seal.digests(staged, subject.modality, graphs),
    )


def _graph(model: onnx.ModelProto, devices: tuple[Device, ...]) -> GraphSpec:
    return GraphSpec(
        devices=devices,
        outputs=tuple(output.name for output in model.graph.output),
        attention_operators=attention_operators(model),
    )
