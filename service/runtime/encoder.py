"""Served model without HTTP: texts or images in, arrays out. Import it for bulk work.

Three stages, as a request passes them: `preprocess` (any thread), `run` (an engine's thread), `postprocess` (any
thread). Letters: b items, e embedding width.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from models.artifact import tensors
from models.artifact.arrays import Floats, InputArray
from models.artifact.artifact_files import GRAPH_FILE, TOKENIZER_FILE, verify
from models.artifact.errors import ArtifactError
from models.artifact.graph_inputs import pack
from models.artifact.manifest import MANIFEST_FILE, ImageSpec, Manifest, TextSpec
from models.preprocess.errors import TokenizerError
from models.preprocess.image import MAX_PIXELS, ImagePreprocessor, PreprocessedImage
from models.preprocess.model_input import ModelInput, TextPair, TokenizedText, TokenOffset
from models.preprocess.text import KeptSide, TextPreprocessor
from service.runtime.providers import DeviceOption
from service.runtime.session import Session
from service.runtime.sparse_vectors import pack_row

OUTPUT_ONLY = (tensors.OUTPUT,)
OUTPUT_AND_TOKENS = (tensors.OUTPUT, tensors.TOKEN_EMBEDDINGS)
"""Outputs that need no attention: an item's main output, and its token embeddings."""

RawInput = TypeVar("RawInput")


class Encoder(ABC, Generic[RawInput]):
    """Graph of one artifact, and the preprocessing of a `RawInput`: a text, or an image file's bytes."""

    def __init__(self, manifest: Manifest, session: Session) -> None:
        self.manifest = manifest
        self.name = manifest.name
        self._session = session

    @property
    def provider(self) -> str:
        """Execution provider, as the session reports it."""
        return self._session.provider

    @property
    @abstractmethod
    def max_positions(self) -> int:
        """Length of the longest sequence of an item."""

    @abstractmethod
    def preprocess(self, inputs: Sequence[RawInput]) -> Sequence[ModelInput]:
        """Convert each input to what the graph takes."""

    @abstractmethod
    def dummy_input(self, positions: int) -> InputArray:
        """Return an input for warm-up, of `positions` where inputs of the model differ in length."""

    def run(
        self,
        items: Sequence[InputArray],
        outputs: Sequence[str] = OUTPUT_ONLY,
        heads: Sequence[int] = (),
        *,
        exclusive: bool = True,
    ) -> dict[str, Floats]:
        """Run one batch of prepared items' `data`, and return the named outputs of `models.artifact.tensors`.

        Rows are in the batch's order, padded to its longest item; raw weights are those of `heads`. A batch that runs
        concurrently with others is not `exclusive`. Raises InferenceFailed when ONNX Runtime fails.
        """
        return self._session.run(outputs, self._ort_inputs(items), heads, exclusive=exclusive)

    def item_output(self, arrays: Mapping[str, Floats], row: int, positions: int) -> Floats:
        """Return the main output of the item in that row of a batch, copied: a view would keep the batch alive.

        `[e]` or `[c]`; `[n, c]` of a head over the `positions`; of a sparse vector `[2 or 3, k]`, as
        `service.runtime.sparse_vectors` packs it.
        """
        output: Floats = arrays[tensors.OUTPUT][row]
        if "sparse" in self.manifest.tasks:
            tokens = arrays.get(tensors.SPARSE_TOKENS)
            return pack_row(output, None if tokens is None else tokens[row])
        return (output[:positions] if output.ndim == 2 else output).copy()

    def self_test(self) -> None:
        """Run the smallest item, as at warm-up. Raises InferenceFailed when not even that runs."""
        self.run([self.dummy_input(1)])

    def postprocess(
        self, embeddings: Floats, dimensions: int | None = None, *, normalize: bool | None = None
    ) -> Floats:
        """Keep the first `dimensions` of embeddings `[b, e]`, then scale each to length 1 if `normalize` is set.

        `normalize` defaults to the manifest's. The vectors are those of a batch's items, or of an item's positions.
        """
        vectors = np.ascontiguousarray(embeddings[:, :dimensions])
        if self.manifest.embedding.normalize if normalize is None else normalize:
            # 1e-12: the bound that torch's normalize keeps a zero vector away from division by zero with.
            lengths = np.sqrt(np.einsum("be,be->b", vectors, vectors))  # a third of the cost of linalg.norm for one
            vectors = vectors / np.maximum(lengths, np.float32(1e-12))[:, None]
        return vectors

    @abstractmethod
    def _ort_inputs(self, items: Sequence[InputArray]) -> dict[str, InputArray]:
        """One batch as the graph's inputs."""


class TextEncoder(Encoder[str | TextPair]):
    """Texts and pairs of texts, by the artifact's own tokenizer."""

    def __init__(self, manifest: Manifest, limits: TextSpec, session: Session, preprocess: TextPreprocessor) -> None:
        super().__init__(manifest, session)
        self._limits = limits
        self._preprocess = preprocess

    @property
    def max_positions(self) -> int:
        return self._limits.max_tokens

    @property
    def prompts(self) -> Collection[str]:
        """Names of the model's prompts."""
        return self._limits.prompts

    def preprocess(
        self,
        inputs: Sequence[str | TextPair],
        *,
        prompt: str | None = None,
        kept_side: KeptSide = "start",
        max_second_tokens: int | None = None,
    ) -> list[TokenizedText]:
        """Tokenize behind the prompt of that name, cut to the model's limit. Raises KeyError for an unknown one."""
        return self._preprocess(inputs, prompt=prompt, kept_side=kept_side, max_second_tokens=max_second_tokens)

    def is_short(self, lengths: Sequence[int], *, prompt: str | None, kept_side: KeptSide) -> bool:
        """Whether texts of these lengths, or ids, are prepared sooner than a thread is woken for it."""
        return self._preprocess.runs_inline(lengths, prompt=prompt, kept_side=kept_side)

    def from_token_ids(self, ids: Sequence[int], *, kept_side: KeptSide = "start") -> TokenizedText:
        """Ids that another has tokenized, cut to the model's limit. Raises TokenIdOutOfRange."""
        return self._preprocess.from_ids(ids, kept_side=kept_side)

    def tokenize(self, text: str, *, prompt: str | None = None, special: bool = True) -> list[tuple[int, TokenOffset]]:
        """Return all tokens of a text with their ids."""
        return self._preprocess.tokenize(text, prompt=prompt, add_special_tokens=special)

    def vocabulary_token(self, index: int) -> str:
        """Return the token of an entry of a sparse vector, as the tokenizer writes it."""
        return self._preprocess.vocabulary_token(index)

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Text of ids. Raises TokenIdOutOfRange."""
        return self._preprocess.decode(ids, skip_special_tokens=skip_special)

    def dummy_input(self, positions: int) -> InputArray:
        return np.zeros((2, positions) if self._limits.token_types else positions, dtype=np.int64)

    def _ort_inputs(self, items: Sequence[InputArray]) -> dict[str, InputArray]:
        return dict(pack(items, position_offset=self._limits.position_offset))


class ImageEncoder(Encoder[bytes]):
    """Image model: JPEG, PNG or WebP files."""

    def __init__(self, manifest: Manifest, spec: ImageSpec, session: Session, *, max_pixels: int = MAX_PIXELS) -> None:
        super().__init__(manifest, session)
        self.spec = spec
        self._preprocess = ImagePreprocessor(spec, max_pixels=max_pixels)

    @property
    def max_positions(self) -> int:
        return self.spec.num_tokens

    def preprocess(self, inputs: Sequence[bytes]) -> list[PreprocessedImage]:
        """Decode and scale. Raises ImageDecodeError for the first file that is not an image."""
        return [self._preprocess(source) for source in inputs]

    def dummy_input(self, positions: int) -> InputArray:  # noqa: ARG002  # every image has as many
        return np.zeros((self.spec.height_px, self.spec.width_px, 3), dtype=np.uint8)

    def _ort_inputs(self, items: Sequence[InputArray]) -> dict[str, InputArray]:
        return {tensors.PIXELS: np.stack(items)}


AnyEncoder = TextEncoder | ImageEncoder


def open_encoder(
    directory: Path,
    manifest: Manifest | None = None,
    *,
    device: DeviceOption = "auto",
    threads: int = 1,
    concurrent_batches: int = 1,
    max_image_pixels: int = MAX_PIXELS,
) -> AnyEncoder:
    """Open an artifact, for at most `concurrent_batches` batches at a time.

    Its digests are verified, unless the `manifest` that was verified with them is given. Raises ArtifactError or
    ProviderUnavailable.
    """
    manifest = manifest or verify(directory)
    session = Session(
        directory / GRAPH_FILE,
        manifest.graph,
        device=device,
        threads=threads,
        concurrent_batches=concurrent_batches,
        precision=manifest.precision,
    )
    if manifest.text:
        return TextEncoder(manifest, manifest.text, session, _load_tokenizer(directory / TOKENIZER_FILE, manifest.text))
    if manifest.image:
        return ImageEncoder(manifest, manifest.image, session, max_pixels=max_image_pixels)
    raise ArtifactError(directory / MANIFEST_FILE, "has an unsupported modality")


def _load_tokenizer(path: Path, spec: TextSpec) -> TextPreprocessor:
    try:
        return TextPreprocessor(path.read_text(encoding="utf-8"), spec)
    except (TokenizerError, UnicodeDecodeError) as error:
        raise ArtifactError(path, "is not a valid tokenizer") from error
