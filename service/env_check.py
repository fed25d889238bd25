"""Detection of mistyped settings: an unknown variable with our prefix is an error, not ignored."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

_SERVICE_LINK = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.IGNORECASE
)
_PORT = re.compile(r"(\w+_)?PORT", re.IGNORECASE)
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
"""Kubernetes sets variables for each Service of a pod's namespace, unless `enableServiceLinks` is false. A Service
named headlight, or headlight-gpu, sets HEADLIGHT_SERVICE_HOST, HEADLIGHT_PORT=tcp://10.0.0.1:3000,
HEADLIGHT_PORT_3000_TCP and more."""


def unknown_env_variable(environment: Mapping[str, str], prefix: str, known: Collection[str]) -> str | None:
    """Return an error message for the first variable that begins with `prefix` and is none of `known` (in any case)."""
    upper = [f"{prefix}{name}".upper() for name in known]
    for variable, value in sorted(environment.items()):
        name = variable.upper()
        if name.startswith(prefix) and name not in upper and not _is_service_link(name.removeprefix(prefix), value):
            suggestions = get_close_matches(name, upper, n=1, cutoff=0.8)
            return f"unknown setting {variable}{f'; did you mean {suggestions[0]}?' if suggestions else ''}"
    return None


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name) or (_PORT.fullmatch(name) and _ADDRESS.match(value)))
