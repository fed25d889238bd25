"""Licenses of every package in this environment, from their metadata: `python licenses.py > FILE`."""

from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

FILE_NAME_PARTS = ("licen", "copying", "notice", "copyright")
"""A file of a package's metadata is of its license if its name holds one of them."""
CLASSIFIER_PREFIX = "License :: "


def license_name(package: Distribution) -> str:
    """Return an SPDX expression if there is one, else the first line of the package's license field."""
    metadata = package.metadata
    from_classifiers = [
        line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if line.startswith(CLASSIFIER_PREFIX)
    ]
    from_license_field = (metadata["License"] or "").strip().splitlines() if "License" in metadata else []
    if "License-Expression" in metadata:
        return str(metadata["License-Expression"])
    return ", ".join(from_classifiers) or (from_license_field[0] if from_license_field else "see license text")


def license_texts(package: Distribution) -> Iterator[str]:
    """Yield the texts of the package's license files."""
    for file in package.files or ():
        is_license_file = ".dist-info" in file.parts[0] and any(word in file.name.lower() for word in FILE_NAME_PARTS)
        if is_license_file and (found := Path(file.locate())).is_file():
            yield found.read_text(encoding="utf-8", errors="replace").strip()


def render() -> Iterator[str]:
    """First a list, then each package's texts."""
    packages = sorted(distributions(), key=lambda package: package.name.lower())
    yield from (f"{package.name} {package.version}: {license_name(package)}" for package in packages)
    for package in packages:
        yield f"\n{'=' * 80}\n{package.name} {package.version}: {license_name(package)}\n"
        yield from license_texts(package)


if __name__ == "__main__":
    print("\n".join(render()))
