"""Description of an artifact in a few lines."""

from export.parity import said
from models.artifact.manifest import Manifest, Parity, Quality

_METRICS = ("embedding", "logits", "token_embeddings", "weights", "relevance", "batch_invariance")


def format_report(manifest: Manifest) -> str:
    """Describe an artifact."""
    megabytes = sum(file.bytes for file in manifest.files.values()) / 1e6
    devices = " and ".join(manifest.graph.devices)
    quality = () if manifest.quality is None else (f"  against full precision: {_describe_quality(manifest.quality)}",)
    return "\n".join(
        (
            f"  {manifest.architecture}, {_describe_input(manifest)}, {_describe_output(manifest)}, "
            f"{_describe_attention(manifest)}",
            f"  {manifest.precision} for {devices}, {megabytes:.0f} MB, {_describe_fused(manifest)}",
            f"  compared with the original in float64 on {manifest.parity.num_inputs} inputs "
            f"(in brackets: its own error in this precision): {format_parity(manifest.parity)}",
            *(f"  note: {note}" for note in manifest.notes),
            *quality,
        )
    )


def _describe_input(manifest: Manifest) -> str:
    if manifest.text is not None:
        return f"text of {manifest.text.max_tokens} tokens"
    image = manifest.image
    return "" if image is None else f"images of {image.width_px} x {image.height_px} px"


def _describe_output(manifest: Manifest) -> str:
    if manifest.text and "sparse" in manifest.tasks:
        return f"sparse vectors over a vocabulary of {manifest.text.vocab_size}"
    if manifest.head is None:
        return f"{manifest.embedding.dim} dimensions, {manifest.embedding.pooling} pooling"
    count = len(manifest.head.labels)
    labels = f"{count} label{'s' * (count > 1)}"
    return f"{' and '.join(manifest.tasks)} with {labels} ({manifest.head.activation} activation)"


def _describe_attention(manifest: Manifest) -> str:
    if manifest.attention is None:
        return "no attention"
    heads = manifest.attention.heads
    return f"{len(heads)} layers of {'/'.join(str(count) for count in dict.fromkeys(heads))} heads"


def _describe_fused(manifest: Manifest) -> str:
    return f"{manifest.graph.attention_operators} fused attention operators"


def format_parity(parity: Parity) -> str:
    """Describe a comparison with the original in float64, with the original's own error next to each figure."""
    found = {name: getattr(parity, name) for name in _METRICS}
    differences = [f"{name} {each.graph:.1e} ({said(each.original)})" for name, each in found.items() if each]
    cosine = [f"cosine >= {1 - parity.embedding_cosine.graph:.7f}"] if parity.embedding_cosine else []
    return ", ".join((*cosine, *differences))


def _describe_quality(quality: Quality) -> str:
    figures = {
        "mean cosine": quality.mean_cosine,
        "least cosine": quality.min_cosine,
        "of the ten nearest neighbors kept": quality.knn_overlap_at_10,
        "rank correlation": quality.rank_correlation,
        "of the labels kept": quality.label_agreement,
    }
    named = [f"{value:.4f} {name}" for name, value in figures.items() if value is not None]
    return f"{', '.join(named)}, over {quality.num_inputs} inputs"
