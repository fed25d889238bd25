"""What an artifact is, in a few lines for a person."""

from models.contract.manifest import Manifest, Parity, Quality

_FIGURES = {
    "embedding": "embedding_max_abs",
    "positions": "positions_max_abs",
    "weights": "weights_max_abs",
    "relevance": "relevance_max_abs",
    "by neighbours": "neighbours_max_abs",
}


def report(manifest: Manifest) -> str:
    """What was sealed."""
    megabytes = sum(file.bytes for file in manifest.files.values()) / 1e6
    devices = " and ".join(manifest.graph.devices)
    quality = () if manifest.quality is None else (f"  against full precision: {_kept(manifest.quality)}",)
    return "\n".join(
        (
            f"  {manifest.architecture}, {_takes(manifest)}, {manifest.embedding.width} wide, "
            f"{manifest.embedding.pooling} pooling, {_attention(manifest)}",
            f"  {manifest.precision} for {devices}, {megabytes:.0f} MB, {_fused(manifest)}",
            f"  against the original on {manifest.parity.items} items: {differences(manifest.parity)}",
            *quality,
        )
    )


def _takes(manifest: Manifest) -> str:
    if manifest.text is not None:
        return f"text of {manifest.text.max_tokens} tokens"
    image = manifest.image
    return "" if image is None else f"images of {image.columns_px} x {image.rows_px} px"


def _attention(manifest: Manifest) -> str:
    if manifest.attention is None:
        return "no attention"
    heads = manifest.attention.heads
    return f"{len(heads)} layers of {'/'.join(str(count) for count in dict.fromkeys(heads))} heads"


def _fused(manifest: Manifest) -> str:
    return f"{manifest.graph.attention_operators} fused attentions"


def differences(parity: Parity) -> str:
    """The figures of a comparison with the original."""
    found = {said: getattr(parity, name) for said, name in _FIGURES.items()}
    differences = [f"{said} {value:.1e}" for said, value in found.items() if value is not None]
    return f"cosine >= {parity.embedding_min_cosine:.7f}, {', '.join(differences)}"


def _kept(quality: Quality) -> str:
    return (
        f"cosine {quality.mean_cosine:.4f} on average, {quality.min_cosine:.4f} at least, "
        f"{quality.neighbours_overlap:.3f} of the ten nearest kept among {quality.items}"
    )
