"""Old names of command-line options, accepted with a warning for one release.

Free of Locust, whose import patches the process.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any


def add_renamed(add_to: argparse.ArgumentParser | argparse._ArgumentGroup, new: str, old: str, **options: Any) -> None:
    """Add the option `new`, and its deprecated name `old`, which warns."""
    add_to.add_argument(new, **options)
    is_flag = options.pop("action", None) == "store_true"
    options |= {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS} | ({"nargs": 0} if is_flag else {})
    add_to.add_argument(old, dest=new.removeprefix("--").replace("-", "_"), action=_DeprecatedOption, **options)


class _DeprecatedOption(argparse.Action):
    """Old name of an option: stores the value under the new name, with a warning."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        print(f"deprecated option: name={option_string} use=--{self.dest.replace('_', '-')}", file=sys.stderr)
        setattr(namespace, self.dest, True if self.nargs == 0 else values)
