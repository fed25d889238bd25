"""Tokenization of texts with character offsets, by the artifact's tokenizer.json.

The file is read as data by `tokenizers`; no code comes with it. Truncation and padding that a training script
left in the file are replaced: the limit is the manifest's, and packing needs no padding.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from tokenizers import Encoding, Tokenizer

from models.artifact.specs import TextSpec
from models.preprocess.errors import MissingSpecialTokens, TokenIdOutOfRange, TokenizerError
from models.preprocess.model_input import TextPair, TokenizedText, TokenOffset, WordOffsets

READ_CHARS_PER_TOKEN = 32
"""Characters read first per token of the model's limit; prose has about 5 characters per token."""

MIN_READ_CHARS = 512
"""Minimum number of characters read first: WordPiece maps a word of over 100 characters to [UNK], and must not see a
shorter prefix of it.
"""

MAX_CHARS = 262_144
"""Characters of one text that are read at all. One that gives so few tokens of them (a word of a million letters) is
cut there: each million takes a second, and others wait meanwhile. Of a model of 8192 tokens it is what is read first.

It is `encode_batch` that reads what is not brief, of one text too: `encode` holds the interpreter, and so every other
request.
"""

INLINE_CHARS = 512
"""Maximum characters of all texts tokenized on the event loop: 0.15 ms of English, 0.6 of Chinese. Handing the GIL over
and waiting for it takes longer."""

KeptSide = Literal["start", "end"]
"""Side of a long text that truncation keeps."""


class TextPreprocessor:
    """Tokenizes texts for one model. Thread-safe: nothing changes after construction."""

    def __init__(self, tokenizer: str, spec: TextSpec) -> None:
        """`tokenizer` is the text of a tokenizer.json. Raises TokenizerError if it is none."""
        self._tokenizer_json = tokenizer
        self._spec = spec
        self._initial_chars = max(spec.max_tokens * READ_CHARS_PER_TOKEN, MIN_READ_CHARS)
        self._keep_start = self._truncating_tokenizer("right")

    def __call__(
        self,
        inputs: Sequence[str | TextPair],
        *,
        prompt: str | None = None,
        kept_side: KeptSide = "start",
        max_second_tokens: int | None = None,
    ) -> list[TokenizedText]:
        """Tokenize each input behind the prompt of that name (None for the model's own), cut to the model's limit.

        A pair goes through the tokenizer's own pair template; the longer of its texts is cut first, or the second one
        after `max_second_tokens`, and a prompt is not put before it. Empty strings give their special tokens alone.
        Raises KeyError for a prompt that the model does not have.
        """
        prompt_text = self._prompt_text(prompt)
        cut = max_second_tokens is not None and max_second_tokens < self._spec.max_tokens
        texts = self._with_second_cut(inputs, max_second_tokens or 0, kept_side) if cut else inputs
        sources = [_Source(value, "" if isinstance(value, TextPair) else prompt_text) for value in texts]
        encodings = _encode(
            self._truncating(kept_side), [source.clipped(self._initial_chars, kept_side) for source in sources]
        )
        tokenized = [self._read_until_truncated(*pair, kept_side) for pair in zip(sources, encodings, strict=True)]
        for item, text, value in zip(tokenized, texts, inputs, strict=True) if cut else ():
            item.truncated |= text is not value
        return tokenized

    def _with_second_cut(
        self, inputs: Sequence[str | TextPair], max_tokens: int, kept_side: KeptSide
    ) -> list[str | TextPair]:
        """Return the pairs with their second texts cut after that many tokens of them."""
        pairs = [value for value in inputs if isinstance(value, TextPair)]
        chars = max(max_tokens * READ_CHARS_PER_TOKEN, MIN_READ_CHARS)
        read = [pair.second[:chars] if kept_side == "start" else pair.second[-chars:] for pair in pairs]
        encodings = iter(self._untruncated.encode_batch(read, add_special_tokens=False))
        cut: list[str | TextPair] = []
        for value in inputs:
            if isinstance(value, TextPair):
                offsets, second = next(encodings).offsets, value.second
                if len(offsets) > max_tokens and kept_side == "start":
                    second = second[: offsets[max_tokens - 1][1]]
                elif len(offsets) > max_tokens:
                    second = second[-chars:][offsets[-max_tokens][0] :]
                elif len(second) > chars:
                    second = second[:chars] if kept_side == "start" else second[-chars:]
                cut.append(value if second is value.second else TextPair(value.first, second))
            else:
                cut.append(value)
        return cut

    def runs_inline(self, lengths: Sequence[int], *, prompt: str | None, kept_side: KeptSide) -> bool:
        """Whether texts of these lengths are read sooner than a thread is woken for them. Never where the end is kept:
        the tokenizer for that is made of its file when it is first used.
        """
        prompt_chars = len(self._prompt_text(prompt))
        return kept_side == "start" and sum(lengths) + prompt_chars * len(lengths) <= INLINE_CHARS

    def from_ids(self, ids: Sequence[int], *, kept_side: KeptSide = "start") -> TokenizedText:
        """Truncate token ids of the caller's own tokenizer, special tokens included.

        Raises TokenIdError if they are not of this model's tokenizer.
        """
        self._check_ids(ids)
        self._check_special_tokens(ids)
        max_tokens, padding = self._spec.max_tokens, self._spec.padding_id
        truncated_ids = list(ids[:max_tokens] if kept_side == "start" else ids[-max_tokens:])
        truncated_ids += [] if padding is None else [padding] * (max_tokens - len(truncated_ids))
        return TokenizedText(
            truncated_ids,
            lambda: [(self.vocabulary_token(id), 0, 0) for id in truncated_ids],
            truncated=len(ids) > max_tokens,
            token_types=[0] * len(truncated_ids) if self._spec.token_types else None,
        )

    def tokenize(
        self, text: str, *, prompt: str | None = None, add_special_tokens: bool = True
    ) -> list[tuple[int, TokenOffset]]:
        """Return all tokens of a text with their ids, untruncated; without special tokens on request."""
        prompt_text = self._prompt_text(prompt)
        (encoding,) = self._untruncated.encode_batch([prompt_text + text], add_special_tokens=add_special_tokens)
        return list(zip(encoding.ids, _token_offsets(encoding, (len(prompt_text),)), strict=True))

    def vocabulary_token(self, id: int) -> str:
        """Return the token of an id as the vocabulary has it; "" for an id without one."""
        return self._keep_start.id_to_token(id) or ""

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Return the text of token ids. Raises TokenIdOutOfRange."""
        self._check_ids(ids)
        return str(self._untruncated.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def _check_ids(self, ids: Sequence[int]) -> None:
        size = self._spec.vocab_size
        wrong = (id for id in (min(ids), max(ids)) if not 0 <= id < size)
        for id in wrong:
            raise TokenIdOutOfRange(id, size)

    def _check_special_tokens(self, ids: Sequence[int]) -> None:
        """Raise MissingSpecialTokens unless the ids have the special tokens that the tokenizer adds to each text."""
        prefix, suffix = self._special_tokens
        ends = len(ids) - len(suffix)
        if ends < len(prefix) or list(ids[: len(prefix)]) != prefix or list(ids[ends:]) != suffix:
            names = [[self.vocabulary_token(id) for id in part] for part in (prefix, suffix)]
            raise MissingSpecialTokens(*names)

    @cached_property
    def _special_tokens(self) -> tuple[list[int], list[int]]:
        """Ids that the tokenizer adds before and after each text."""
        empty, sample = (self._untruncated.encode(text) for text in ("", "a"))
        is_text = [i for i, special in enumerate(sample.special_tokens_mask) if not special]
        num_prefix = is_text[0] if is_text else len(empty.ids)
        return list(empty.ids[:num_prefix]), list(empty.ids[num_prefix:])

    def _prompt_text(self, name: str | None) -> str:
        name = self._spec.default_prompt if name is None else name
        return "" if name is None else self._spec.prompts[name]

    def _truncating(self, kept_side: KeptSide) -> Tokenizer:
        return self._keep_start if kept_side == "start" else self._keep_end

    @cached_property
    def _keep_end(self) -> Tokenizer:
        return self._truncating_tokenizer("left")

    @cached_property
    def _untruncated(self) -> Tokenizer:
        tokenizer = open_tokenizer(self._tokenizer_json)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def _truncating_tokenizer(self, direction: Literal["left", "right"]) -> Tokenizer:
        tokenizer = open_tokenizer(self._tokenizer_json)
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=self._spec.max_tokens, direction=direction)
        if self._spec.padding_id is not None:
            tokenizer.enable_padding(
                length=self._spec.max_tokens,
                pad_id=self._spec.padding_id,
                pad_token=tokenizer.id_to_token(self._spec.padding_id) or "",
            )
        return tokenizer

    def _read_until_truncated(self, source: "_Source", encoding: Encoding, kept_side: KeptSide) -> TokenizedText:
        """Read on in long texts until what is kept of each ends well before where reading stopped.

        Tokens depend on their neighbourhood only, so the rest of the text cannot change them: a 16 MB text costs
        what its first pages cost, where tokenizing it whole took 40 s and 4 GB.
        """
        chars_read, max_chars = self._initial_chars, max(MAX_CHARS, self._initial_chars)
        while (
            chars_read < max_chars
            and source.unread(chars_read)
            and not source.is_settled(encoding, kept_side, chars_read)
        ):
            chars_read = min(4 * chars_read, max_chars)
            (encoding,) = self._truncating(kept_side).encode_batch([source.clipped(chars_read, kept_side)])
        shifts = source.shifts(chars_read, kept_side)
        is_pair = source.is_pair
        return TokenizedText(
            encoding.ids,
            lambda: _token_offsets(encoding, shifts),
            lambda: _word_offsets(encoding, shifts, source),
            truncated=bool(encoding.overflowing) or bool(source.unread(chars_read)),
            token_types=encoding.type_ids if self._spec.token_types else None,
            get_inputs=(lambda: encoding.sequence_ids) if is_pair else None,
        )


class _Source:
    """Texts of one input: one behind its prompt, or the two of a pair."""

    __slots__ = ("is_pair", "prompt_chars", "texts")

    def __init__(self, value: str | TextPair, prompt: str) -> None:
        self.is_pair = isinstance(value, TextPair)
        self.texts: tuple[str, ...] = tuple(value) if isinstance(value, TextPair) else (prompt + value,)
        self.prompt_chars = len(prompt)

    def clipped(self, max_chars: int, kept_side: KeptSide) -> str | tuple[str, str]:
        """Return at most that much of each text, as the tokenizer takes them."""
        first, *rest = (text[:max_chars] if kept_side == "start" else text[-max_chars:] for text in self.texts)
        return (first, rest[0]) if rest else first

    def unread(self, chars_read: int) -> list[int]:
        """Return the indices of the texts that are longer than what was read of them."""
        return [i for i, text in enumerate(self.texts) if len(text) > chars_read]

    def is_settled(self, encoding: Encoding, kept_side: KeptSide, chars_read: int) -> bool:
        """Return whether no more of the texts would change what is kept of them."""
        return bool(encoding.overflowing) and all(
            _covered_chars(encoding, i, kept_side, chars_read) <= chars_read // 2 for i in self.unread(chars_read)
        )

    def shifts(self, chars_read: int, kept_side: KeptSide) -> tuple[int, ...]:
        """Return where each of the caller's strings begins in what was tokenized of it; negative if before that."""
        cut = (max(0, len(text) - chars_read) if kept_side == "end" else 0 for text in self.texts)
        return tuple(self.prompt_chars - chars for chars in cut)


def _encode(tokenizer: Tokenizer, inputs: Sequence[str | tuple[str, str]]) -> list[Encoding]:
    if sum(len(each) if isinstance(each, str) else len(each[0]) + len(each[1]) for each in inputs) <= INLINE_CHARS:
        return [tokenizer.encode(each) if isinstance(each, str) else tokenizer.encode(*each) for each in inputs]
    return tokenizer.encode_batch(inputs)


def open_tokenizer(text: str) -> Tokenizer:
    """Parse a tokenizer.json. Raises TokenizerError if it is not one."""
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises no other: neither a class of its own nor ValueError
        raise TokenizerError(str(error)) from error


def _token_offsets(encoding: Encoding, shifts: Sequence[int]) -> list[TokenOffset]:
    """Return the tokens' offsets in the caller's string, or the text of a pair that each is in; `shifts` is the start
    of each of those in what was tokenized, or negative."""
    inputs = encoding.sequence_ids if len(shifts) > 1 else [0] * len(encoding)
    offsets = (
        (max(0, start - shifts[i or 0]), max(0, end - shifts[i or 0])) if start < end else (0, 0)
        for (start, end), i in zip(encoding.offsets, inputs, strict=True)
    )
    return [(token, *offset) for token, offset in zip(encoding.tokens, offsets, strict=True)]


def _word_offsets(encoding: Encoding, shifts: Sequence[int], source: _Source) -> WordOffsets:
    """Return the offsets of words in the caller's string, or the text of a pair that each is in."""
    offsets = _token_offsets(encoding, shifts)
    inputs = [i or 0 for i in encoding.sequence_ids]
    ids = list(zip(inputs, encoding.word_ids, strict=True))
    standalone = [start == end or word is None for (_, word), (_, start, end) in zip(ids, offsets, strict=True)]
    starts = [i for i in range(len(ids)) if i == 0 or standalone[i] or standalone[i - 1] or ids[i] != ids[i - 1]]
    words: list[TokenOffset] = []
    for first, end in pairwise([*starts, len(offsets)]):
        if standalone[first]:
            words.append(offsets[first])
        else:
            begins, ends = offsets[first][1], offsets[end - 1][2]
            text, prompt_chars = source.texts[inputs[first]], source.prompt_chars
            words.append((text[prompt_chars + begins : prompt_chars + ends], begins, ends))
    return WordOffsets(np.array(starts, dtype=np.int64), words)


def _covered_chars(encoding: Encoding, text: int, kept_side: KeptSide, chars_read: int) -> int:
    """Return the number of the `chars_read` characters, from the kept end, that the kept tokens of a text cover."""
    offsets = [
        offset
        for offset, i in zip(encoding.offsets, encoding.sequence_ids, strict=True)
        if i == text and offset[0] < offset[1]
    ]
    if kept_side == "start":
        return max((end for _, end in offsets), default=0)
    return chars_read - min((start for start, _ in offsets), default=chars_read)
