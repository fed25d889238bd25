"""Configuration errors of layers."""


class ConfigError(ValueError):
    """An encoder that cannot be: the message holds both of the numbers that do not fit."""


def require_odd(side: int) -> int:
    """`side`, the side of a kernel, which needs a middle; or ConfigError."""
    if side % 2 == 0:
        raise ConfigError(f"kernel size must be odd, got {side}")
    return side


def divide_exactly(whole: int, part: int, what: str) -> int:
    """Return whole / part. Raises ConfigError; `what` names the two, as in "heads do not divide the width"."""
    if part < 1 or whole % part:
        raise ConfigError(f"{what}: {part} and {whole}")
    return whole // part
