"""Text to token ids with character offsets, by the artifact's own tokenizer.json.

The file is read as data by `tokenizers`; no code comes with it. Truncation and padding that a training script
left in the file are replaced: the limit is the manifest's, and packing needs no padding.
"""

from collections.abc import Sequence

import numpy as np
from tokenizers import Encoding, Tokenizer

from models.contract.arrays import Ints
from models.contract.specs import TextSpec
from models.preprocess.errors import TokenizerError
from models.preprocess.prepared import content_key

CHARACTERS_PER_TOKEN = 32
"""Of a text's characters, so many for each token of the model's limit are read first; prose has about 5 a token."""


class Tokens:
    """One tokenized text of n tokens, special tokens included.

    `ids` is `[n]`; `truncated` says that the text went on past the model's limit.
    """

    __slots__ = ("_before", "_encoding", "ids", "key", "truncated")

    def __init__(self, encoding: Encoding, *, before: int) -> None:
        """`before` characters of what was tokenized are not the caller's."""
        self.ids: Ints = np.array(encoding.ids, dtype=np.int64)
        self.key = content_key(self.ids)
        self.truncated = bool(encoding.overflowing)
        self._encoding = encoding
        self._before = before

    @property
    def data(self) -> Ints:
        return self.ids

    @property
    def positions(self) -> int:
        return len(self.ids)

    @property
    def pieces(self) -> tuple[str, ...]:
        """The tokens as text. Made when asked for, like their offsets: for an embedding nobody does."""
        return tuple(self._encoding.tokens)

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """`(start, end)` into the caller's string in code points, start == end for special tokens and a prompt's."""
        before = self._before
        return tuple((max(0, start - before), max(0, end - before)) for start, end in self._encoding.offsets)


class TextPreprocessor:
    """Tokenizes for one model. Safe to share between threads: nothing changes after construction."""

    def __init__(self, tokenizer: str, spec: TextSpec) -> None:
        """`tokenizer` is the text of a tokenizer.json. Raises TokenizerError if it is none."""
        self._tokenizer = open_tokenizer(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=spec.max_tokens)
        if spec.padding_id is not None:
            self._tokenizer.enable_padding(
                length=spec.max_tokens,
                pad_id=spec.padding_id,
                pad_token=self._tokenizer.id_to_token(spec.padding_id) or "",
            )
        self._prompt = "" if spec.default_prompt is None else spec.prompts[spec.default_prompt]
        self._first_read = spec.max_tokens * CHARACTERS_PER_TOKEN

    def __call__(self, texts: Sequence[str], prompt: str | None = None) -> list[Tokens]:
        """Tokenize each text behind `prompt` (None for the model's own), cut to the model's limit.

        Empty strings give their special tokens alone.
        """
        before = self._prompt if prompt is None else prompt
        whole = [before + text for text in texts] if before else texts
        encodings = self._tokenizer.encode_batch([text[: self._first_read] for text in whole])
        return [Tokens(self._complete(*pair), before=len(before)) for pair in zip(whole, encodings, strict=True)]

    def _complete(self, text: str, encoding: Encoding) -> Encoding:
        """Read on in a long text until what is kept of it ends well before where reading stopped.

        Tokens depend on their neighbourhood only, so the rest of the text cannot change them: a 16 MB text costs
        what its first pages cost, where tokenizing it whole took 40 s and 4 GB.
        """
        read = self._first_read
        while len(text) > read and not (encoding.overflowing and _end(encoding) <= read // 2):
            read *= 4
            encoding = self._tokenizer.encode(text[:read])
        return encoding


def open_tokenizer(text: str) -> Tokenizer:
    """Raises TokenizerError for what is no tokenizer.json."""
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises no other: neither a class of its own nor ValueError
        raise TokenizerError(str(error)) from error


def _end(encoding: Encoding) -> int:
    """Where in the text the last kept token ends."""
    return max(end for _, end in encoding.offsets)
