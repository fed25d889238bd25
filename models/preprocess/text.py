"""Text to token ids with character offsets, by the artifact's own tokenizer.json.

The file is read as data by `tokenizers`; no code comes with it. Truncation and padding that a training script
left in the file are replaced: the limit is the manifest's, and packing needs no padding.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from tokenizers import Encoding, Tokenizer

from models.contract.specs import TextSpec
from models.preprocess.errors import NotInVocabulary, TokenizerError
from models.preprocess.tokens import Piece, Tokens, Words

CHARACTERS_PER_TOKEN = 32
"""Of a text's characters, so many for each token of the model's limit are read first; prose has about 5 a token."""

FEWEST_READ = 512
"""Characters that are read first at least, whatever the limit: WordPiece makes [UNK] of a word of over 100 characters,
and must not see less of it.
"""

MOST_READ = 262_144
"""Characters of one text that are read at all. One that gives so few tokens of them (a word of a million letters) is
cut there: each million takes a second, and others wait meanwhile. Of a model of 8192 tokens it is what is read first.

It is `encode_batch` that reads what is not brief, of one text too: `encode` holds the interpreter, and so every other
request.
"""

BRIEF = 512
"""Characters of brief texts, all together: 0.15 ms of English, 0.6 of Chinese. To give the interpreter away meanwhile,
and have it back from threads that compute, takes longer.
"""

Kept = Literal["start", "end"]
"""What stays of a text that is too long."""


class TextPreprocessor:
    """Tokenizes for one model. Safe to share between threads: nothing changes after construction."""

    def __init__(self, tokenizer: str, spec: TextSpec) -> None:
        """`tokenizer` is the text of a tokenizer.json. Raises TokenizerError if it is none."""
        self._source = tokenizer
        self._spec = spec
        self._first_read = max(spec.max_tokens * CHARACTERS_PER_TOKEN, FEWEST_READ)
        self._from_start = self._limited("right")

    def __call__(self, texts: Sequence[str], *, prompt: str | None = None, kept: Kept = "start") -> list[Tokens]:
        """Tokenize each text behind the prompt of that name (None for the model's own), cut to the model's limit.

        Empty strings give their special tokens alone. Raises KeyError for a prompt that the model does not have.
        """
        before = self._prompt(prompt)
        whole = [before + text for text in texts] if before else texts
        tokenizer = self._from_start if kept == "start" else self._from_end
        encodings = _encodings(tokenizer, [self._read(text, self._first_read, kept) for text in whole])
        return [self._complete(*pair, kept, len(before)) for pair in zip(whole, encodings, strict=True)]

    def is_brief(self, lengths: Sequence[int], *, prompt: str | None, kept: Kept) -> bool:
        """Whether texts of these lengths are read sooner than a thread is woken for them. Never where the end is kept:
        the tokenizer for that is made of its file when it is first used.
        """
        before = len(self._prompt(prompt))
        return kept == "start" and sum(lengths) + before * len(lengths) <= BRIEF

    def given(self, ids: Sequence[int], *, kept: Kept = "start") -> Tokens:
        """Ids that the caller's own tokenizer made, special tokens included, cut to the model's limit.

        Raises NotInVocabulary for one that is not this model's.
        """
        self._check(ids)
        most, padding = self._spec.max_tokens, self._spec.padding_id
        cut = list(ids[:most] if kept == "start" else ids[-most:])
        cut += [] if padding is None else [padding] * (most - len(cut))
        spell = self._from_start.id_to_token
        return Tokens(cut, lambda: [(spell(id) or "", 0, 0) for id in cut], truncated=len(ids) > most)

    def tokenize(self, text: str, *, prompt: str | None = None, special: bool = True) -> list[tuple[int, Piece]]:
        """All tokens of a text with their ids, however many; without special ones on request."""
        before = self._prompt(prompt)
        (encoding,) = self._unlimited.encode_batch([before + text], add_special_tokens=special)
        return list(zip(encoding.ids, _pieces(encoding, len(before)), strict=True))

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Text of ids. Raises NotInVocabulary."""
        self._check(ids)
        return str(self._unlimited.decode(list(ids), skip_special_tokens=skip_special))

    def _check(self, ids: Sequence[int]) -> None:
        size = self._spec.vocabulary_size
        wrong = (id for id in (min(ids), max(ids)) if not 0 <= id < size)
        for id in wrong:
            raise NotInVocabulary(id, size)

    def _prompt(self, name: str | None) -> str:
        name = self._spec.default_prompt if name is None else name
        return "" if name is None else self._spec.prompts[name]

    @cached_property
    def _from_end(self) -> Tokenizer:
        return self._limited("left")

    @cached_property
    def _unlimited(self) -> Tokenizer:
        tokenizer = open_tokenizer(self._source)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def _limited(self, cut: Literal["left", "right"]) -> Tokenizer:
        tokenizer = open_tokenizer(self._source)
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=self._spec.max_tokens, direction=cut)
        if self._spec.padding_id is not None:
            tokenizer.enable_padding(
                length=self._spec.max_tokens,
                pad_id=self._spec.padding_id,
                pad_token=tokenizer.id_to_token(self._spec.padding_id) or "",
            )
        return tokenizer

    @staticmethod
    def _read(text: str, characters: int, kept: Kept) -> str:
        return text[:characters] if kept == "start" else text[-characters:]

    def _complete(self, text: str, encoding: Encoding, kept: Kept, before: int) -> Tokens:
        """Read on in a long text until what is kept of it ends well before where reading stopped.

        Tokens depend on their neighbourhood only, so the rest of the text cannot change them: a 16 MB text costs
        what its first pages cost, where tokenizing it whole took 40 s and 4 GB.
        """
        read, most = self._first_read, max(MOST_READ, self._first_read)
        while min(len(text), most) > read and not (encoding.overflowing and _spans(encoding, kept, read) <= read // 2):
            read = min(4 * read, most)
            tokenizer = self._from_start if kept == "start" else self._from_end
            (encoding,) = tokenizer.encode_batch([self._read(text, read, kept)])
        start = before - (max(0, len(text) - read) if kept == "end" else 0)
        return Tokens(
            encoding.ids,
            lambda: _pieces(encoding, start),
            lambda: _words(encoding, start, text, before),
            truncated=bool(encoding.overflowing) or len(text) > read,
        )


def _encodings(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Encoding]:
    if sum(map(len, texts)) <= BRIEF:
        return [tokenizer.encode(text) for text in texts]
    return tokenizer.encode_batch(texts)


def open_tokenizer(text: str) -> Tokenizer:
    """Raises TokenizerError for what is no tokenizer.json."""
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises no other: neither a class of its own nor ValueError
        raise TokenizerError(str(error)) from error


def _pieces(encoding: Encoding, before: int) -> list[Piece]:
    """The caller's string began `before` characters into what was tokenized, or that many before it if negative."""
    offsets = (
        (max(0, start - before), max(0, end - before)) if start < end else (0, 0) for start, end in encoding.offsets
    )
    return [(token, *offset) for token, offset in zip(encoding.tokens, offsets, strict=True)]


def _words(encoding: Encoding, start: int, text: str, before: int) -> Words:
    """Of a caller's string that begins `before` characters into `text`, and `start` into what was tokenized."""
    pieces = _pieces(encoding, start)
    ids = encoding.word_ids
    alone = [start == end or id is None for id, (_, start, end) in zip(ids, pieces, strict=True)]
    starts = [i for i in range(len(ids)) if i == 0 or alone[i] or alone[i - 1] or ids[i] != ids[i - 1]]
    found: list[Piece] = []
    for first, end in pairwise([*starts, len(pieces)]):
        if alone[first]:
            found.append(pieces[first])
        else:
            begins, ends = pieces[first][1], pieces[end - 1][2]
            found.append((text[before + begins : before + ends], begins, ends))
    return Words(np.array(starts, dtype=np.int64), found)


def _spans(encoding: Encoding, kept: Kept, read: int) -> int:
    """How much of the `read` characters, from the end that is kept, the kept tokens reach over."""
    if kept == "start":
        return max(end for _, end in encoding.offsets)
    return read - min((start for start, end in encoding.offsets if end > start), default=read)
