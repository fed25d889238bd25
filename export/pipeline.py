"""The export from end to end: read, trace, write, compare, seal."""

from importlib.metadata import version
from pathlib import Path

from export import parity, seal, weights
from export.graphs import attention_operators, to_onnx
from export.options import Options
from export.progress import Progress
from export.subjects.base import Subject
from export.subjects.opening import open_subject
from models.contract.manifest import GraphSpec, Manifest, Parity

TOOLS = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "tokenizers")
STEPS = 4


def export(
    directory: Path,
    target: Path,
    options: Options | None = None,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Turn the encoder in `directory` into the sealed artifact `target`, whose last part is the model's name.

    Raises ExportError (see `export.errors`) and leaves nothing behind when any step fails.
    """
    step, options = progress or Progress(STEPS), options or Options()
    with seal.staging(target, replace=replace) as staged:
        with step("load the encoder"):
            subject = open_subject(directory, options)
        with step("trace the graph"):
            model = to_onnx(subject)
        with step("compare with the original"):
            weights.write(model, staged)
            subject.copy_files(staged)
            figures = parity.measure(staged, subject)
        with step("seal"):
            graph = GraphSpec(
                devices=options.devices(), outputs=subject.outputs, attention_operators=attention_operators(model)
            )
            manifest = _manifest(target.name, subject, options, graph, figures, staged)
            seal.seal(staged, target, manifest)
    return manifest


def _manifest(
    name: str, subject: Subject, options: Options, graph: GraphSpec, figures: Parity, staged: Path
) -> Manifest:
    return Manifest(
        name=name,
        modality=subject.modality,
        architecture=subject.architecture,
        precision=options.numbers(),
        embedding=subject.embedding(name),
        attention=subject.attention,
        text=subject.text,
        image=subject.image,
        graph=graph,
        parity=figures,
        tools={tool: version(tool) for tool in TOOLS},
        files=seal.digests(staged, subject.modality),
    )
