"""What the playground shows: bytes that stay the same while the service runs, and the headers they go with."""

import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.responses import Response

from service.http.request import HttpRequest

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

SECURITY_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, and asked for again by its tag: a newer service is seen at once
}
"""Headers that block requests and referrers to other hosts, and embedding in other hosts' pages."""


@dataclass(frozen=True)
class StaticAsset:
    """A body of one media type."""

    body: bytes
    media_type: str
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", f'"{hashlib.sha256(self.body).hexdigest()[:32]}"')

    def respond(self, request: HttpRequest) -> Response:
        """Return the body, or 304 if the client has it."""
        headers = {**SECURITY_HEADERS, "ETag": self.tag}
        if self._matches_etag(request.header_values.get("if-none-match", "")):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(self.body, headers=headers, media_type=self.media_type)

    def _matches_etag(self, tags: str) -> bool:
        """Compare ETags; a proxy that compresses makes a tag weak, which is the same here."""
        return any(tag.strip().removeprefix("W/") in (self.tag, "*") for tag in tags.split(","))
