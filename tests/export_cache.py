"""Artifacts for tests, each exported once per run: torch's exporter takes longer than most tests."""

import os
import subprocess
import sys
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

import pytest
from filelock import FileLock

from bench.server import ROOT
from export.options import ExportOptions
from export.pipeline import export
from models.artifact.artifact_files import verify
from models.artifact.manifest import MANIFEST_FILE


@dataclass(frozen=True)
class ExportCache:
    """The artifacts exported in this run, in a folder that parallel test workers share."""

    folder: Path

    @classmethod
    def for_run(cls, tmp_path_factory: pytest.TempPathFactory) -> Self:
        base = tmp_path_factory.getbasetemp()
        return cls(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)

    def __call__(
        self, source: Path, name: str, options: ExportOptions | None = None, *, in_subprocess: bool = False
    ) -> Path:
        """The artifact of a source; `in_subprocess`: as a user makes it, in a process of its own."""
        target = self.folder / f"exported-{_cache_key(source, options)}" / name
        with FileLock(self.folder / f"{target.parent.name}.{name}.lock"):
            if (target / MANIFEST_FILE).exists():  # the last that an export writes
                return target
            if in_subprocess:
                _export_in_subprocess(source, target)
            else:
                assert export(source, target, options) == verify(target)
        return target


def _export_in_subprocess(source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "export", str(source), "--name", target.name, "--artifacts", str(target.parent)]
    subprocess.run(command, cwd=ROOT, check=True)


def _cache_key(source: Path, options: ExportOptions | None) -> str:
    digest = blake2b(repr(options or ExportOptions()).encode(), digest_size=16)
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
