"""Static files of pages: bytes that never change while the service runs, with ETag, compression and strict headers."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus

from starlette.responses import Response

from service.http.request import HttpRequest

CONTENT_SECURITY_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # cached and revalidated by ETag, so that a new version shows at once
}
"""Headers that block requests and referrers to other hosts, and embedding in other hosts' pages."""


MIN_COMPRESSED_BYTES = 64 * 1024
"""Size from which a file is sent compressed to clients that accept it."""


@dataclass(frozen=True)
class StaticAsset:
    """A body of one media type; `csp_sources` replace those of `CONTENT_SECURITY_POLICY`."""

    body: bytes
    media_type: str
    csp_sources: Mapping[str, str] = field(default_factory=dict)
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", f'"{hashlib.sha256(self.body).hexdigest()[:32]}"')

    def respond(self, request: HttpRequest) -> Response:
        """Return the body, or 304 if the client has it."""
        headers = {**SECURITY_HEADERS, "Content-Security-Policy": self._content_security_policy, "ETag": self.tag}
        if self._matches_etag(request.header_values.get("if-none-match", "")):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if len(self.body) < MIN_COMPRESSED_BYTES:
            return Response(self.body, headers=headers, media_type=self.media_type)
        headers |= {"Vary": "Accept-Encoding"}
        if "gzip" not in request.header_values.get("accept-encoding", ""):
            return Response(self.body, headers=headers, media_type=self.media_type)
        headers |= {"Content-Encoding": "gzip", "ETag": f"W/{self.tag}"}
        return Response(self._compressed, headers=headers, media_type=self.media_type)

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(self.body, mtime=0)

    @property
    def _content_security_policy(self) -> str:
        return "; ".join(
            f"{name} {sources}" for name, sources in {**CONTENT_SECURITY_POLICY, **self.csp_sources}.items()
        )

    def _matches_etag(self, tags: str) -> bool:
        """Compare ETags; a proxy that compresses makes a tag weak, which is the same here."""
        return any(tag.strip().removeprefix("W/") in (self.tag, "*") for tag in tags.split(","))
