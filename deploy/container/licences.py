"""The licences of every package in this environment, as their metadata has them: `python licences.py > FILE`."""

from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

WORDS = ("licen", "copying", "notice", "copyright")
"""A file of a package's metadata is of its licence if its name holds one of them."""
FROM_CLASSIFIER = "License :: "


def named(package: Distribution) -> str:
    """An SPDX expression where there is one, else what the package says of itself in its first line."""
    told = package.metadata
    classified = [line.split(" :: ")[-1] for line in told.get_all("Classifier", []) if line.startswith(FROM_CLASSIFIER)]
    stated = (told["License"] or "").strip().splitlines() if "License" in told else []
    if "License-Expression" in told:
        return str(told["License-Expression"])
    return ", ".join(classified) or (stated[0] if stated else "see its text")


def texts(package: Distribution) -> Iterator[str]:
    """What its licence files say."""
    for file in package.files or ():
        inside = ".dist-info" in file.parts[0] and any(word in file.name.lower() for word in WORDS)
        if inside and (found := Path(file.locate())).is_file():
            yield found.read_text(encoding="utf-8", errors="replace").strip()


def tell() -> Iterator[str]:
    """First a list, then each package's texts."""
    packages = sorted(distributions(), key=lambda package: package.name.lower())
    yield from (f"{package.name} {package.version}: {named(package)}" for package in packages)
    for package in packages:
        yield f"\n{'=' * 80}\n{package.name} {package.version}: {named(package)}\n"
        yield from texts(package)


if __name__ == "__main__":
    print("\n".join(tell()))
