"""Hooks of mkdocs: generated pages, and a site that asks no other host."""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

SEARCH_SHIM = "https://unpkg.com/iframe-worker/shim"
"""Script that the offline plugin loads, so that the search works on pages opened from the file system."""

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs import reference  # noqa: E402  # found by the path above


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, content in reference.generated_pages().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Load the search's script from the site."""
    return output.replace(SEARCH_SHIM, get_relative_url("assets/iframe-worker.js", page.url))


def on_post_template(output_content: str, **_: object) -> str:
    """Load the search's script from the site, in the page for missing pages too."""
    return output_content.replace(SEARCH_SHIM, "assets/iframe-worker.js")
