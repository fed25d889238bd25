"""The tokenizer of a source, held against its encoder before anything is traced."""

from pathlib import Path

from pydantic import BaseModel
from tokenizers import Tokenizer, normalizers

from export.errors import OptionError, SourceError
from export.files import parse_if_there
from models.contract.artifact import TOKENIZER_FILE
from models.contract.specs import TextSpec
from models.preprocess.errors import TokenizerError
from models.preprocess.text import TextPreprocessor, open_tokenizer

CONFIG = "tokenizer_config.json"


class TokenizerConfig(BaseModel):
    """The part of tokenizer_config.json that tokenizer.json does not say itself."""

    tokenizer_class: str | None = None
    pad_token: str | dict[str, object] | None = None

    @property
    def padding(self) -> str | None:
        """The token, which older files write as an object."""
        token = self.pad_token.get("content") if isinstance(self.pad_token, dict) else self.pad_token
        return token if isinstance(token, str) else None

    @property
    def lowers_case(self) -> bool:
        """SigLIP 2's class does so in Python, before the tokenizer of the file sees the text."""
        return self.tokenizer_class in ("Siglip2Tokenizer", "Siglip2TokenizerFast")


def read_config(directory: Path) -> TokenizerConfig:
    """Raises SourceError for a file that is malformed; one that is absent says nothing."""
    return parse_if_there(directory / CONFIG, TokenizerConfig)


def padding_id(directory: Path, otherwise: int | None) -> int:
    """The id that texts are padded with: its token's, else `otherwise`. Raises SourceError if there is none."""
    token = read_config(directory).padding
    found = otherwise if token is None else _open(directory).token_to_id(token)
    if found is None:
        raise SourceError(f"{directory / CONFIG} names no pad_token that {TOKENIZER_FILE} has; this encoder needs one")
    return found


def read(directory: Path, spec: TextSpec, *, lower_case: bool) -> str:
    """tokenizer.json, which lowers case if asked to.

    Raises SourceError for one that does not fit the encoder, OptionError for a limit that leaves no room for a text.
    """
    path = directory / TOKENIZER_FILE
    tokenizer = _open(directory)
    if lower_case or read_config(directory).lowers_case:
        own = [tokenizer.normalizer] if tokenizer.normalizer else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
    text: str = tokenizer.to_str()
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if not 0 <= largest < spec.vocabulary_size:
        raise SourceError(f"{path} has the id {largest}, the model embeds {spec.vocabulary_size}")
    if not TextPreprocessor(text, spec)([""])[0].positions:
        raise SourceError(f"{path} makes no token of an empty text; give it a post-processor with special tokens")
    special = tokenizer.num_special_tokens_to_add(False)
    if spec.max_tokens <= special:
        raise OptionError(f"max-tokens {spec.max_tokens} leaves no room beside {special} special tokens")
    return text


def _open(directory: Path) -> Tokenizer:
    path = directory / TOKENIZER_FILE
    try:
        return open_tokenizer(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SourceError(f"{directory} has no {TOKENIZER_FILE}; save the fast tokenizer there") from error
    except (OSError, UnicodeDecodeError, TokenizerError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
