"""The API keys that a request may bring: from the settings, and from a file that may change while it is served."""

import logging
import time
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often it is looked whether the file has changed, at most."""

JUST_NOW_NS = 2_000_000_000
"""A file that was written so lately is read again: it may be written again in the same tick of its clock."""


class Keyring:
    """Digests of keys: what is compared has the same length for all, and what a file said is not kept."""

    def __init__(self, keys: tuple[str, ...] = (), file: Path | None = None) -> None:
        """`file` has a key a line; empty lines and those that begin with # are none. Raises OSError."""
        self._fixed = [_digest(key.encode()) for key in keys]
        self._file = file
        self._read: list[bytes] = []
        self._seen: tuple[int, int, int] | None = None
        self._looked = time.monotonic()
        if file:
            self._reread(file)

    @property
    def open(self) -> bool:
        """No key is configured, and none needed."""
        return self._file is None and not self._fixed

    def admits(self, presented: bytes) -> bool:
        """Whether this is one of the keys; so is everything where no key is configured.

        A file that has no key left admits nobody. All keys are compared, so that the time tells nothing of them.
        """
        if self.open:
            return True
        self._look()
        digest = _digest(presented)
        return sum(compare_digest(digest, key) for key in (*self._fixed, *self._read)) > 0

    def _look(self) -> None:
        now = time.monotonic()
        if self._file is None or now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        try:
            self._reread(self._file)
        except OSError as error:
            logger.warning("the file of API keys cannot be read (%s); the keys read last are kept", error.strerror)

    def _reread(self, file: Path) -> None:
        status = file.stat()
        seen = status.st_mtime_ns, status.st_size, status.st_ino  # a mounted secret is replaced by another file
        if seen == self._seen:
            return
        just_now = time.time_ns() - status.st_mtime_ns < JUST_NOW_NS
        before = self._read
        lines = (line.strip() for line in file.read_bytes().splitlines())
        self._read = [_digest(line) for line in lines if line and not line.startswith(b"#")]
        if before and self._read != before:
            logger.info("the API keys were read anew: there are %d in the file", len(self._read))
        self._seen = None if just_now else seen


def _digest(key: bytes) -> bytes:
    return sha256(key).digest()
