"""The export from end to end: read, trace, reduce, write, compare, seal."""

from importlib.metadata import version
from pathlib import Path

import onnx

from export import parity, seal
from export.errors import ParityError
from export.options import Options
from export.precision import quality, reduction
from export.progress import Progress
from export.subjects.base import Subject
from export.subjects.opening import open_subject
from export.tracing import attention_operators, to_onnx
from models.contract.manifest import Manifest, Overrides, Parity, Quality
from models.contract.specs import GraphSpec

TOOLS = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "tokenizers")


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
    options = options or Options()
    precision = options.chosen_precision()
    step = progress or Progress(steps(options))
    with seal.staging(target, replace=replace) as staged:
        with step("load the encoder"):
            subject = open_subject(directory, options)
        with step("trace the graph"):
            model = to_onnx(subject, staged, half=precision == "fp16")
        found = None
        if precision == "int8":
            with step("quantize to int8"):
                model = reduction.to_bytes(model, staged, subject)
        with step("compare with the original"):
            subject.copy_files(staged)
            figures = parity.measure(staged, subject, precision)
        if precision != "fp32":
            with step("compare with full precision"):
                found = reduction.quality_of(staged, subject, precision)
        _judge(figures, found, options)
        with step("seal"):
            manifest = _manifest(target.name, subject, options, model, (figures, found), staged)
            seal.seal(staged, target, manifest)
    return manifest


def steps(options: Options) -> int:
    """How many there are, for whoever shows progress."""
    return {"fp32": 4, "fp16": 5, "int8": 6}[options.chosen_precision()]


def _judge(figures: Parity, found: Quality | None, options: Options) -> None:
    """Raise ParityError past a limit; where `lossy` was asked for, only for values that are not finite."""
    parity.judge_finite(figures)
    if options.lossy:
        return
    precision = options.chosen_precision()
    try:
        parity.judge(figures)
        if found:
            quality.judge(found, precision)
    except ParityError as error:
        way_out = "; --precision fp32 loses nothing, and" if precision != "fp32" else ";"
        raise ParityError(f"{error}{way_out} --allow-lossy seals it as it is") from error


def _manifest(
    name: str,
    subject: Subject,
    options: Options,
    model: onnx.ModelProto,
    measured: tuple[Parity, Quality | None],
    staged: Path,
) -> Manifest:
    return Manifest(
        name=name,
        modality=subject.modality,
        architecture=subject.architecture,
        precision=options.chosen_precision(),
        embedding=subject.embedding(name),
        attention=subject.attention,
        text=subject.text,
        image=subject.image,
        graph=GraphSpec(
            devices=options.devices(), outputs=subject.outputs, attention_operators=attention_operators(model)
        ),
        parity=measured[0],
        quality=measured[1],
        overrides=Overrides(
            pooling=options.pooling, normalize=options.normalize, max_tokens=options.max_tokens, task=options.task
        ),
        notes=subject.notes,
        tools={tool: version(tool) for tool in TOOLS},
        files=seal.digests(staged, subject.modality),
    )
