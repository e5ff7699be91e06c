"""Ranges on the command line: one value, a list, or low:high:count with even or logarithmic spacing."""

from __future__ import annotations

import math

from l2o_theory.errors import InputError

_FORMS = "write 1, 0.5,1,2, 0.5:2:4 (evenly spaced) or 0.25:4:log9"
_MOST = 10_000  # a slip such as 1:2:log99999999 must not fill the memory


def parse_range(text: str, name: str, *, whole: bool = False) -> tuple[float, ...]:
    """Read "1", "0.5,1,2", "low:high:count" (evenly spaced) or "low:high:logCOUNT" (geometric), or a list of these.

    Args:
        text: what was typed.
        name: the option, for the message.
        whole: round the points of low:high:count to integers, and drop repetitions; single values must be integers.

    Returns:
        The values in the order given; the ends of a range are exact.

    Raises:
        InputError: not a number, not finite, a range that is empty (low > high, count < 1, nothing at all), a
            logarithmic one that does not start above 0, or a number with a fraction where an integer is wanted.

    Example:
        >>> parse_range("0.25:4:log5", "--noise")
        (0.25, 0.5, 1.0, 2.0, 4.0)
        >>> parse_range("250:2000:log4,3000", "--samples", whole=True)
        (250.0, 500.0, 1000.0, 2000.0, 3000.0)
    """
    values: list[float] = []
    for part in text.split(","):
        values += _part(part.strip(), name, whole)
    if len(values) > _MOST:
        raise InputError(f"{name} {text} has {len(values)} values, the most is {_MOST}; take fewer")
    return tuple(dict.fromkeys(values))


def parse_one(text: str, name: str) -> float:
    """Read a range that must be a single value.

    Raises:
        InputError: as `parse_range`, or several values.
    """
    values = parse_range(text, name)
    if len(values) != 1:
        raise InputError(f"{name} must be one value with --data, got {text!r}; ranges of it are for sampled tasks")
    return values[0]


def _part(text: str, name: str, whole: bool) -> list[float]:
    pieces = text.split(":")
    if len(pieces) == 1:
        return [_integer(_number(text, name), name) if whole else _number(text, name)]
    if len(pieces) != 3:
        raise InputError(f"{name} {text!r} is no range; {_FORMS}")
    low, high = _number(pieces[0], name), _number(pieces[1], name)
    logarithmic = pieces[2].startswith("log")
    count = _integer(_number(pieces[2].removeprefix("log"), name), name)
    if count < 1 or low > high or (count == 1 and low < high):
        raise InputError(f"{name} {text!r} is an empty range; wanted low <= high and a count of at least 2")
    if count > _MOST:
        raise InputError(f"{name} {text!r} has more than {_MOST} values; take fewer")
    if logarithmic and not low > 0:
        raise InputError(
            f"{name} {text!r}: a logarithmic range must start above 0; write {low:g},... or raise the start"
        )
    values = _spaced(low, high, int(count), logarithmic)
    return [float(round(value)) for value in values] if whole else values


def _spaced(low: float, high: float, count: int, logarithmic: bool) -> list[float]:
    """Twelve digits, so that 0.25:4:log9 holds 1 and not 1.0000000000000002; the ends as typed."""
    if count == 1:
        return [low]
    shares = [index / (count - 1) for index in range(1, count - 1)]
    inner = [low * (high / low) ** share if logarithmic else low + (high - low) * share for share in shares]
    return [low, *(float(f"{value:.12g}") for value in inner), high]


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{name}: {text!r} is not a number; {_FORMS}") from None
    if not math.isfinite(value):
        raise InputError(f"{name} must be finite, got {text}; {_FORMS}")
    return value


def _integer(value: float, name: str) -> float:
    if value != int(value):
        raise InputError(f"{name} must be an integer, got {value:g}; round it")
    return value
