"""Sources by their hub id."""

from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from export import hub
from export.errors import SourceError


def test_an_id_is_asked_of_the_hub_and_nothing_pickled_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def fetch(source: str, *, allow_patterns: list[str]) -> str:
        asked[source] = allow_patterns
        return str(tmp_path)

    def unreachable(source: str, *, allow_patterns: list[str]) -> str:
        raise LocalEntryNotFoundError("no network\nat all")

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    assert hub.local("owner/model") == tmp_path
    assert not [pattern for pattern in asked["owner/model"] if not pattern.endswith((".json", ".safetensors"))]
    assert hub.local(str(tmp_path)) == tmp_path
    assert hub.local("no/such/directory") == Path("no/such/directory")
    monkeypatch.setattr(hub, "snapshot_download", unreachable)
    with pytest.raises(SourceError, match="owner/model is no directory, and no model of that id could be fetched: no"):
        hub.local("owner/model")
