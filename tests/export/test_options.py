"""Tests of export options, and of their contradictions."""

import pytest

from export.errors import OptionError
from export.options import ExportOptions


def test_precision_that_the_device_lacks_is_refused() -> None:
    with pytest.raises(OptionError, match="precision int8 requires cpu, not cuda"):
        ExportOptions(precision="int8", device="cuda").chosen_precision()
