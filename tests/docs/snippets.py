"""Fenced code blocks of Markdown pages, with their documented output."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.server import ROOT

PAGES = sorted(
    [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
     *(path for path in ROOT.glob("docs/**/*.md") if path.parent.name != "adr")]
)  # fmt: skip

_BLOCK = re.compile(
    r"(?P<mark><!-- not tested: [^>]+-->\n)?^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
_OUTPUT_KINDS = ("json", "text")


@dataclass(frozen=True)
class Snippet:
    """A block of `kind`; `output` is the block of JSON or text that follows it with prose of a few lines at most."""

    page: str
    kind: str
    code: str
    output: str | None

    @property
    def commands(self) -> list[str]:
        """The shell commands of the block: lines that end in a backslash or inside quotes are continued."""
        commands: list[str] = []
        for line in self.code.splitlines():
            if commands and not _is_complete(commands[-1]):
                commands[-1] += f"\n{line}"
            elif line.strip():
                commands.append(line)
        return commands


def _is_complete(command: str) -> bool:
    if command.endswith("\\"):
        return False
    try:
        shlex.split(command)
    except ValueError:  # an open quotation
        return False
    return True


def snippets(page: Path) -> Iterator[Snippet]:
    """Yield the blocks of a page, except for outputs and those that are marked as not tested."""
    matches = list(_BLOCK.finditer(page.read_text(encoding="utf-8")))
    for match, following in zip(matches, [*matches[1:], None], strict=False):
        kind = match["kind"]
        if match["mark"] or kind in _OUTPUT_KINDS:
            continue
        output = following["code"] if following and following["kind"] in _OUTPUT_KINDS else None
        yield Snippet(str(page.relative_to(ROOT)), kind, match["code"], output)
