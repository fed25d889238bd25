"""Tests of the site: it builds strictly, requests no other host, and has a page for each of the field's terms."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.server import ROOT
from service import limits

LINE_LIMIT = 160
TERMS = ["dynamic batching", "load shedding", "graceful shutdown", "readiness", "deduplicat", "backpressure",
         "slow client", "cancel"]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning, such as a broken link, fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Loads(HTMLParser):
    """Addresses that a page loads by itself; links that a reader may follow are not among them."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {"script": "src", "img": "src", "link": "href", "iframe": "src"}
        self.addresses += [value for name, value in attrs if name == names.get(tag) and value]


def pages(site: Path) -> Iterator[Path]:
    yield from site.glob("**/*.html")


def test_site_asks_no_other_host(site: Path) -> None:
    found = list(pages(site))
    assert len(found) > 40
    for page in found:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.addresses
        assert not [address for address in loads.addresses if re.match(r"(\w+:)?//", address)], page


def test_reference_is_generated(site: Path) -> None:
    for page, words in {
        "settings": ["HEADLIGHT_MAX_QUEUE_TOKENS", "262144", "HEADLIGHT_DRAIN_MS"],
        "metrics": ["headlight_rejected_total", "headlight_batch_size"],
        "http-api": ["/v1/embeddings", "context_length_exceeded", "EmbeddingsRequest"],
        "command-line": ["--timeout-graceful-shutdown", "--precision", "--spike-factor", "--options-a"],
        "artifact": ["token_embeddings", "batch_invariance"],
    }.items():
        text = (site / f"reference/{page}.html").read_text(encoding="utf-8")
        assert not [word for word in words if word not in text]


@pytest.mark.parametrize("term", TERMS)
def test_term_finds_its_file_and_its_page(term: str) -> None:
    code = subprocess.run(["git", "grep", "-il", term, "--", "service/*.py"], cwd=ROOT, capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert code.stdout.splitlines()
    assert term in (ROOT / "docs/explanation/serving.md").read_text(encoding="utf-8").lower()


def test_readme_is_a_front_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LINE_LIMIT


def test_readme_links_resolve() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_limit_is_documented(site: Path) -> None:
    page = (site / "reference/limits.html").read_text(encoding="utf-8")
    assert all(f"<code>{name}</code>" in page for name in vars(limits) if name.isupper())
