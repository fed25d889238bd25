"""API key authentication of requests; the keys come from the settings and from a file that is reloaded."""

import logging
import time
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from service.errors import InvalidApiKey

logger = logging.getLogger(__name__)

RELOAD_INTERVAL_S = 1.0
"""Minimum interval between checks for a changed file."""

MTIME_GRANULARITY_NS = 2_000_000_000
"""A file modified this recently is read again: another change could have the same modification time."""


class ApiKeyStore:
    """Digests of keys: what is compared has the same length for all, and what a file said is not kept."""

    def __init__(self, keys: tuple[str, ...] = (), file: Path | None = None) -> None:
        """`file` has a key a line; empty lines and those that begin with # are none. Raises OSError."""
        self._configured_digests = [_digest(key.encode()) for key in keys]
        self._file = file
        self._file_digests: list[bytes] = []
        self._file_version: tuple[int, int, int] | None = None
        self._last_checked = time.monotonic()
        if file:
            self._reload(file)

    @property
    def auth_disabled(self) -> bool:
        """No key is configured, and none needed."""
        return self._file is None and not self._configured_digests

    def is_valid(self, candidate: bytes) -> bool:
        """Whether this is one of the keys; so is everything where no key is configured.

        A file that has no key left admits nobody. All keys are compared, so that the time tells nothing of them.
        """
        if self.auth_disabled:
            return True
        self._reload_if_changed()
        digest = _digest(candidate)
        return sum(compare_digest(digest, key) for key in (*self._configured_digests, *self._file_digests)) > 0

    def _reload_if_changed(self) -> None:
        now = time.monotonic()
        if self._file is None or now - self._last_checked < RELOAD_INTERVAL_S:
            return
        self._last_checked = now
        try:
            self._reload(self._file)
        except OSError as error:
            logger.warning("cannot read API key file (%s); keeping the previous keys", error.strerror)

    def _reload(self, file: Path) -> None:
        status = file.stat()
        version = status.st_mtime_ns, status.st_size, status.st_ino  # Kubernetes replaces the file of a mounted secret
        if version == self._file_version:
            return
        recently_written = time.time_ns() - status.st_mtime_ns < MTIME_GRANULARITY_NS
        previous = self._file_digests
        lines = (line.strip() for line in file.read_bytes().splitlines())
        self._file_digests = [_digest(line) for line in lines if line and not line.startswith(b"#")]
        if previous and self._file_digests != previous:
            logger.info("reloaded %d API keys from file", len(self._file_digests))
        self._file_version = None if recently_written else version


def _digest(key: bytes) -> bytes:
    return sha256(key).digest()


API_KEY_HEADERS = ("x-api-key", "api-key")
"""Headers accepted in addition to `Authorization: Bearer`, as used by other servers' clients."""


def require_api_key(header_values: Mapping[str, str], api_keys: ApiKeyStore) -> None:
    """Raise InvalidApiKey unless the headers, decoded as latin-1, have a valid key."""
    if api_keys.auth_disabled or any(api_keys.is_valid(key.encode("latin-1")) for key in _credentials(header_values)):
        return
    raise InvalidApiKey("the API key is missing or wrong")


def _credentials(header_values: Mapping[str, str]) -> list[str]:
    candidates = [header_values.get(name, "") for name in API_KEY_HEADERS]
    scheme, _, key = header_values.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        candidates.append(key.strip(" \t"))  # only HTTP's white space: Python's includes bytes that a key may end in
    return candidates
