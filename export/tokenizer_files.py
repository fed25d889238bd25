"""Checks of a tokenizer's files before `transformers` opens them."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from export.source_checks import check_download, parse, parse_optional
from models.artifact.artifact_files import TOKENIZER_FILE
from models.filenames import CONFIG_FILE, TOKENIZER_CONFIG_FILE

ADDED_TOKENS_FILE = "added_tokens.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"

_TOKEN_FILES = (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, ADDED_TOKENS_FILE, SPECIAL_TOKENS_FILE)
"""Files that can define tokens."""

_VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt", "*.model")


class _Token(BaseModel):
    """A token as an object, which older files write; its flags are read by `transformers`."""

    model_config = ConfigDict(extra="allow")

    content: str


_Tokens = list[str | _Token]


class TokenizerConfig(BaseModel):
    """The entries of tokenizer_config.json that are read here, or that `transformers` takes unchecked."""

    tokenizer_class: str | None = None
    auto_map: Any = None
    pad_token: str | _Token | None = None
    model_max_length: Annotated[float, Field(ge=1)] | None = None
    max_len: Annotated[float, Field(ge=1)] | None = None
    added_tokens_decoder: dict[int, _Token] | None = None
    additional_special_tokens: _Tokens | None = None
    extra_special_tokens: _Tokens | dict[str, str | _Token] | None = None

    @property
    def longest(self) -> float | None:
        """The length that texts are cut to; `transformers` takes the old name, max_len, in the new one's absence."""
        return self.model_max_length if "model_max_length" in self.model_fields_set else self.max_len

    @property
    def padding(self) -> str | None:
        """The padding token."""
        return self.pad_token.content if isinstance(self.pad_token, _Token) else self.pad_token


class _Model(BaseModel):
    """The part of config.json that chooses the tokenizer's class where tokenizer_config.json does not."""

    tokenizer_class: str | None = None
    model_type: str | None = None


_AddedTokens = RootModel[dict[str, int]]
_SpecialTokens = RootModel[dict[str, str | _Token | _Tokens | dict[str, str | _Token] | None]]


def read_config(directory: Path) -> TokenizerConfig:
    """Return the entries of tokenizer_config.json, none for an absent file. Raises SourceError."""
    return parse_optional(directory / TOKENIZER_CONFIG_FILE, TokenizerConfig)


def named_class(directory: Path) -> str | None:
    """Return the tokenizer's class where a file names one. Raises SourceError."""
    model = parse_optional(directory / CONFIG_FILE, _Model)
    return read_config(directory).tokenizer_class or model.tokenizer_class


def model_type(directory: Path) -> str | None:
    """Return what chooses the tokenizer's class where no file names one. Raises SourceError."""
    return parse_optional(directory / CONFIG_FILE, _Model).model_type


def check_tokenizer_files(directory: Path) -> None:
    """Raise SourceError for a file that is malformed, or that a broken download left in place of it.

    `transformers` reads the vocabularies only without a tokenizer.json, and the two older files of tokens only without
    added_tokens_decoder.
    """
    vocabularies = () if (directory / TOKENIZER_FILE).exists() else _VOCABULARIES
    for pattern in (TOKENIZER_FILE, *vocabularies):
        for file in directory.glob(pattern):
            check_download(file)
    if read_config(directory).added_tokens_decoder is not None:
        return
    for name, kind in ((SPECIAL_TOKENS_FILE, _SpecialTokens), (ADDED_TOKENS_FILE, _AddedTokens)):
        if (directory / name).is_file():
            parse(directory / name, kind)


def vocabulary_file(directory: Path) -> Path:
    """Return the file that the tokens come from: tokenizer.json, else the first vocabulary there."""
    found = (file for pattern in (TOKENIZER_FILE, *_VOCABULARIES) for file in sorted(directory.glob(pattern)))
    return next(found, directory / TOKENIZER_FILE)


def entry_of(directory: Path, token: str) -> str | None:
    """Return the first file and entry that name a token, of files that have been checked."""
    said = json.dumps(token)
    for name in _TOKEN_FILES:
        file = directory / name
        entries = parse(file, RootModel[dict[str, Any]]).root if file.is_file() else {}
        for entry, value in entries.items():
            if said in json.dumps({entry: value}):
                return f"{file} ({entry})"
    return None
