"""What this dialect answers."""

from service.dialects.attention.match import match
from service.dialects.attention.match_request import MatchAnswer, MatchRequest
from service.dialects.described import PIXEL
from service.http.described import ErrorResponse
from service.http.endpoints import Dialect, Endpoint

_EXAMPLES = {
    "two texts": {"model": "all-MiniLM-L6-v2", "inputs": ["The lamp warns ships.", "A light for sailors."]},
    "a text and an image": {"inputs": [{"text": "A red star."}, {"image": PIXEL}], "pairs": True},
}

DIALECT = Dialect(
    "Attention",
    (
        Endpoint("POST", "/v1/attention/match", match, "Compare two inputs part by part", MatchRequest, MatchAnswer,
                 _EXAMPLES),
    ),
    ErrorResponse,
)  # fmt: skip
