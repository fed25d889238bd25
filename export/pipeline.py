"""Pipeline of an export: read, trace, quantize, write, compare, seal."""

from importlib.metadata import version
from pathlib import Path

import onnx

from export import parity, seal
from export.errors import ParityError
from export.options import ExportOptions
from export.progress import StepProgress
from export.quantization import quality, quantize
from export.targets.base import ExportTarget
from export.targets.loader import load_target
from export.torch_export import count_attention_operators, export_to_onnx
from models.artifact.manifest import Manifest, Overrides, Parity, Quality
from models.artifact.specs import GraphSpec

TOOL_VERSIONS = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "tokenizers")


def export(
    directory: Path,
    artifact_dir: Path,
    options: ExportOptions | None = None,
    *,
    replace: bool = False,
    progress: StepProgress | None = None,
) -> Manifest:
    """Turn the encoder in `directory` into the sealed artifact `artifact_dir`, whose last part is the model's name.

    Raises ExportError (see `export.errors`) and leaves nothing behind when any step fails.
    """
    options = options or ExportOptions()
    precision = options.chosen_precision()
    step = progress or StepProgress(count_steps(options))
    with seal.staging(artifact_dir, replace=replace) as staging_dir:
        with step("loading the encoder"):
            target = load_target(directory, options)
        with step("exporting to ONNX"):
            model = export_to_onnx(target, staging_dir, half=precision == "fp16")
        quality_report = None
        if precision == "int8":
            with step("quantizing to int8"):
                model = quantize.quantize_int8(model, staging_dir, target)
        with step("comparing with the reference model"):
            target.copy_files(staging_dir)
            parity_report = parity.measure(staging_dir, target, precision)
        if precision != "fp32":
            with step("evaluating against full precision"):
                quality_report = quantize.evaluate_quality(staging_dir, target, precision)
        _check(parity_report, quality_report, options)
        with step("sealing"):
            manifest = _build_manifest(
                artifact_dir.name, target, options, model, (parity_report, quality_report), staging_dir
            )
            seal.seal(staging_dir, artifact_dir, manifest)
    return manifest


def count_steps(options: ExportOptions) -> int:
    """Return the number of steps, as the total of a progress bar."""
    return {"fp32": 4, "fp16": 5, "int8": 6}[options.chosen_precision()]


def _check(parity_report: Parity, quality_report: Quality | None, options: ExportOptions) -> None:
    """Raise ParityError past a limit; where `allow_lossy` is set, only for values that are not finite."""
    parity.check_finite(parity_report)
    if options.allow_lossy:
        return
    precision = options.chosen_precision()
    try:
        parity.check_tolerances(parity_report)
        if quality_report:
            quality.check_quality(quality_report, precision)
    except ParityError as error:
        way_out = "; --precision fp32 loses nothing, and" if precision != "fp32" else ";"
        raise ParityError(f"{error}{way_out} --allow-lossy exports it anyway") from error


def _build_manifest(
    name: str,
    target: ExportTarget,
    options: ExportOptions,
    model: onnx.ModelProto,
    measured: tuple[Parity, Quality | None],
    staging_dir: Path,
) -> Manifest:
    return Manifest(
        name=name,
        modality=target.modality,
        architecture=target.architecture,
        precision=options.chosen_precision(),
        tasks=(target.task,),
        embedding=target.embedding_spec(name),
        head=target.head,
        attention=target.attention,
        text=target.text,
        image=target.image,
        graph=GraphSpec(
            devices=options.devices(), outputs=target.outputs, attention_operators=count_attention_operators(model)
        ),
        parity=measured[0],
        quality=measured[1],
        overrides=Overrides(
            pooling=options.pooling, normalize=options.normalize, max_tokens=options.max_tokens, task=options.task
        ),
        notes=target.notes,
        tools={tool: version(tool) for tool in TOOL_VERSIONS},
        files=seal.compute_digests(staging_dir, target.modality),
    )
