"""The figures in docs/explanation/attention.md: written between markers from the results, none typed by hand.

<!-- figures of NAME -->
(what the experiment's `word` makes of docs/plots/NAME.json)
<!-- end of figures -->
"""

import re
from pathlib import Path
from typing import Final

from models.experiments.experiment import Result
from models.experiments.registry import EXPERIMENTS

_BLOCK: Final = re.compile(r"(<!-- figures of (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


class DocumentError(ValueError):
    """A document that cannot be filled; the message names the experiment."""


def read_result(name: str, plots: Path) -> Result:
    """Read the result that a run wrote."""
    found: Result = EXPERIMENTS[name].result.model_validate_json((plots / f"{name}.json").read_bytes())
    return found


def fill(text: str, plots: Path) -> str:
    """Regenerate every block of a document. Raises DocumentError for quick results and unknown experiments."""

    def block(match: re.Match[str]) -> str:
        opening, name, closing = match.groups()
        if name not in EXPERIMENTS:
            raise DocumentError(f"no experiment {name!r}; known: {', '.join(EXPERIMENTS)}")
        result = read_result(name, plots)
        if result.quick:
            raise DocumentError(f"the result of {name!r} comes from a --quick run and must not be documented")
        words: str = EXPERIMENTS[name].summarize(result)
        return f"{opening}{words}\n{closing}"

    return _BLOCK.sub(block, text)


def block_names(text: str) -> list[str]:
    """Return the names of the experiments in a document, in its order."""
    return [match[2] for match in _BLOCK.finditer(text)]
