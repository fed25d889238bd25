"""Tokenizer of a source as `transformers` reads it, checked against its encoder before tracing.

tokenizer.json alone is not what a source's author serves: `transformers` applies tokenizer_config.json,
special_tokens_map.json and added_tokens.json over it, and most of its classes rebuild everything but the vocabulary.
So `transformers` itself opens the directory here, and the artifact gets the tokenizer that comes out of it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from export.errors import OptionError, SourceError
from export.tokenizer_files import (
    check_tokenizer_files,
    entry_of,
    model_type,
    named_class,
    read_config,
    vocabulary_file,
)
from export.tokenizer_parity import compare_ids, compare_pairs, first_line, tokenized
from models.artifact.artifact_files import TOKENIZER_FILE
from models.artifact.specs import TextSpec
from models.filenames import TOKENIZER_CONFIG_FILE
from models.preprocess.errors import TokenizerError
from models.preprocess.text import TextPreprocessor, open_tokenizer

UNLIMITED_LENGTH = 1e20
"""Length from which on a limit counts as none: `transformers` writes 1e30 for a tokenizer without a limit."""

_AS_IT_IS = "PreTrainedTokenizerFast"
"""Class that reads any tokenizer.json unchanged."""

_LOWERING = ("Siglip2Tokenizer", "Siglip2TokenizerFast")
"""Classes that lower case, which some releases of `transformers` do in Python, others in the backend."""


def max_length(directory: Path) -> int | None:
    """Return the number of tokens that the source's tokenizer keeps, its model_max_length; None without one."""
    length = read_config(directory).longest
    return None if length is None or length >= UNLIMITED_LENGTH else int(length)


def padding_id(directory: Path, default: int | None) -> int:
    """Return the id of the padding token, else `default`. Raises SourceError if there is none."""
    token = read_config(directory).padding
    found = default if token is None else _rust_tokenizer(directory, _load(directory)[0]).token_to_id(token)
    if found is None:
        raise SourceError(
            f"{directory / TOKENIZER_CONFIG_FILE} names no pad_token that {TOKENIZER_FILE} has; this encoder needs one"
        )
    return found


def makes_token_types(directory: Path) -> bool:
    """Return whether the source's tokenizer tells a model which text of a pair a token is in. Raises SourceError."""
    return "token_type_ids" in _load(directory)[0].model_input_names


def read_tokenizer(
    directory: Path, spec: TextSpec, *, lower_case: bool, pairs: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Return the artifact's tokenizer.json, which lowers case if asked to, and notes on how it was read.

    With `pairs`, those are compared too. Raises SourceError for one that does not fit the encoder or tokenizes
    otherwise than `transformers` does, OptionError for a limit that leaves no room for a text.
    """
    reference, read_so = _load(directory)
    tokenizer = _rust_tokenizer(directory, reference)
    lower_case = lower_case or read_config(directory).tokenizer_class in _LOWERING
    text, notes = _trimmed_to_vocabulary(directory, _with_lowercasing(tokenizer) if lower_case else tokenizer, spec)
    special = tokenizer.num_special_tokens_to_add(pairs)
    if spec.max_tokens <= special:
        raise OptionError(f"max-tokens {spec.max_tokens} leaves no room for text: {special} are special tokens")
    compare_ids(directory, text, spec, reference, lower_case=lower_case)
    if pairs:
        compare_pairs(directory, text, spec, reference, lower_case=lower_case)
    return text, (*read_so, *notes)


def _load(directory: Path) -> tuple[Any, tuple[str, ...]]:
    """Open the tokenizer with `transformers`, without running or fetching code. Raises SourceError."""
    transformers_logging.set_verbosity_error()
    config = read_config(directory)
    if config.auto_map:
        raise SourceError(
            f"{directory / TOKENIZER_CONFIG_FILE} has auto_map, which asks for code that is never run; remove the "
            f"entry if transformers' own {config.tokenizer_class or 'class'} tokenizes as that code does"
        )
    check_tokenizer_files(directory)
    file = directory / TOKENIZER_FILE
    file_tokenizer = _open_file(file) if file.exists() else None
    named = named_class(directory)
    try:
        found = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # `tokenizers` raises no class of its own
        if file_tokenizer is None or named:
            raise SourceError(_unreadable_message(directory, named, error)) from error
        found = None
    if file_tokenizer is None:
        _check_vocabulary(directory, found)
    elif found is None or (found.is_fast and _algorithm(found.backend_tokenizer) != _algorithm(file_tokenizer)):
        # Without a tokenizer_class the model_type chooses one, which then builds its own algorithm over the file's
        # vocabulary: what no author can have meant. Releases before 5 read the file as it is, and so does this class.
        if named not in (None, _AS_IT_IS):  # some model_types go before that name
            raise SourceError(
                f"{directory / TOKENIZER_CONFIG_FILE}: tokenizer_class {named!r} builds a "
                f"{_algorithm(found.backend_tokenizer)} tokenizer of the {_algorithm(file_tokenizer)} in "
                f"{TOKENIZER_FILE}; if that file is right, name {_AS_IT_IS}"
            )
        kind = model_type(directory)
        note = f"{TOKENIZER_FILE} is read as it is: the tokenizer class of model_type {kind!r} does not fit it"
        return _load_as_it_is(directory), (note,)
    return found, ()


def _load_as_it_is(directory: Path) -> Any:
    """Open tokenizer.json in the class that keeps its algorithm. Raises SourceError."""
    try:
        return PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True)
    except Exception as error:  # `tokenizers` raises no class of its own
        raise SourceError(f"{directory / TOKENIZER_FILE} cannot be read: {first_line(error)}") from error


def _rust_tokenizer(directory: Path, reference: Any) -> Tokenizer:
    """Return a copy of its Rust tokenizer; of tokenizer.json for a class in Python, which the gate compares."""
    if reference.is_fast:
        return open_tokenizer(reference.backend_tokenizer.to_str())
    file = directory / TOKENIZER_FILE
    if not file.exists():
        raise SourceError(
            f"{directory} has no {TOKENIZER_FILE}, and {type(reference).__name__} is a tokenizer in Python, which the "
            "service does not run; convert it to a fast tokenizer and save that there"
        )
    return _open_file(file)


def _with_lowercasing(tokenizer: Tokenizer) -> Tokenizer:
    """Add lowercasing, unless one of the tokenizer's own steps does just that (sentence-transformers' rule)."""
    normalizer = tokenizer.normalizer
    steps: list[Any] = [normalizer] if normalizer else []
    if isinstance(normalizer, normalizers.Sequence):
        steps = list(normalizer)  # type: ignore[call-overload]  # it has __getitem__ alone
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])
    return tokenizer


def _trimmed_to_vocabulary(directory: Path, tokenizer: Tokenizer, spec: TextSpec) -> tuple[str, tuple[str, ...]]:
    """Its text without the added tokens past the encoder's table, and a note that names them.

    No author can have embedded a text with such a token, so their literals are ordinary text here. Raises SourceError
    for tokens past the table that the vocabulary or every text has, and where an empty text has no valid tokens.
    """
    path, size = vocabulary_file(directory), spec.vocab_size
    excess_tokens = {token: id for token, id in tokenizer.get_vocab(with_added_tokens=True).items() if id >= size}
    own = tokenizer.get_vocab(with_added_tokens=False)
    for token, id in sorted(excess_tokens.items(), key=lambda pair: pair[1]):
        if token in own:
            raise SourceError(
                f"{entry_of(directory, token) or path}: the token {token!r} has the id {id}, the model embeds {size}"
            )
    text: str = tokenizer.to_str()
    if excess_tokens:
        changed = json.loads(text)
        changed["added_tokens"] = [token for token in changed["added_tokens"] if token["content"] not in excess_tokens]
        text = json.dumps(changed, ensure_ascii=False)
    ids = tokenized(path, lambda: TextPreprocessor(text, spec)([""]))[0].ids
    if not len(ids):
        raise SourceError(
            f"{path} makes no token for an empty text, which would have no vector; an encoder whose tokenizer adds no "
            "special token to every text cannot be served"
        )
    if max(ids) >= size:
        raise SourceError(f"{path}: a special token of every text has the id {max(ids)}, the model embeds {size}")
    return text, _dropped(directory, excess_tokens, size)


def _dropped(directory: Path, past: Mapping[str, int], size: int) -> tuple[str, ...]:
    """Return a note on added tokens past the table, unless only the defaults of a class have added them."""
    named = [(entry, token) for token in sorted(past, key=past.__getitem__) if (entry := entry_of(directory, token))]
    if not named:
        return ()
    entry, token = named[0]
    more = f" and {len(named) - 1} more" if len(named) > 1 else ""
    return (f"{entry}: the token {token!r}{more} has the id {past[token]}, the model embeds {size}: dropped",)


def _check_vocabulary(directory: Path, found: Any) -> None:
    """Raise SourceError if there are no files to load: some classes then make up a vocabulary of five tokens."""
    names = {name for name in type(found).vocab_files_names.values() if name != TOKENIZER_FILE}
    if not names or not all((directory / name).is_file() for name in names):
        raise SourceError(f"{directory} has no {TOKENIZER_FILE}; save the fast tokenizer there")


def _unreadable_message(directory: Path, named: str | None, error: Exception) -> str:
    first = first_line(error)
    if (directory / TOKENIZER_FILE).exists():
        return f"{directory / TOKENIZER_CONFIG_FILE}: tokenizer_class {named!r} cannot read {TOKENIZER_FILE}: {first}"
    models = sorted(path.name for path in directory.glob("*.model"))
    if models:
        return (
            f"{directory} has no {TOKENIZER_FILE}, and {models[0]} cannot be converted ({first}); save the "
            "fast tokenizer there"
        )
    return f"{directory} has no {TOKENIZER_FILE}; save the fast tokenizer there"


def _algorithm(tokenizer: Tokenizer) -> str:
    """Return the name of the algorithm: BPE, Unigram, WordLevel, WordPiece."""
    return type(tokenizer.model).__name__


def _open_file(path: Path) -> Tokenizer:
    try:
        return open_tokenizer(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, TokenizerError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
