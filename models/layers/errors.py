"""What cannot be built."""


class ConfigError(ValueError):
    """An encoder that cannot be: the message holds both of the numbers that do not fit."""


def odd(side: int) -> int:
    """`side`, the side of a kernel, which needs a middle; or ConfigError."""
    if side % 2 == 0:
        raise ConfigError(f"a kernel needs a middle: its side must be odd, {side} is not")
    return side


def divide(whole: int, part: int, what: str) -> int:
    """whole / part, or ConfigError: `what` names the two, as in "heads do not divide the width"."""
    if part < 1 or whole % part:
        raise ConfigError(f"{what}: {part} and {whole}")
    return whole // part
