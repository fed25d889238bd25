"""Configuration errors of layers."""


class ConfigError(ValueError):
    """Impossible config of an encoder; the message holds both numbers that contradict each other."""


def require_odd(side: int) -> int:
    """Return `side`, the side of a kernel, which needs a middle. Raises ConfigError if it is even."""
    if side % 2 == 0:
        raise ConfigError(f"kernel size must be odd, got {side}")
    return side


def divide_exactly(whole: int, part: int, what: str) -> int:
    """Return whole / part. Raises ConfigError; `what` names the two, as in "heads do not divide the width"."""
    if part < 1 or whole % part:
        raise ConfigError(f"{what}: {part} and {whole}")
    return whole // part
