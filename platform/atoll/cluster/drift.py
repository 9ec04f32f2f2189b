"""Does an object already say what we want it to say? Then nothing has to be written."""

from typing import Any

from atoll.domain.names import ANNOTATION_FENCE
from atoll.domain.quantities import parse_quantity


def says(observed: Any, desired: Any) -> bool:
    """Whether every part of `desired` is in `observed`; what others added does not count.

    Quantities are compared by value (the server stores "1000m" as "1"), lists item by item, and the
    fence annotation is left out: it tells who wrote last, not what is wanted.
    """
    if isinstance(desired, dict):
        if not isinstance(observed, dict):
            return not desired
        return all(
            says(observed.get(key), value)
            for key, value in desired.items()
            if key != ANNOTATION_FENCE and value is not None
        )
    if isinstance(desired, list):
        return (
            isinstance(observed, list)
            and len(observed) == len(desired)
            and all(says(o, d) for o, d in zip(observed, desired, strict=True))
        )
    return observed == desired or _same_quantity(observed, desired)


def _same_quantity(observed: Any, desired: Any) -> bool:
    if not isinstance(observed, str | int) or not isinstance(desired, str | int):
        return False
    try:
        return parse_quantity(observed) == parse_quantity(desired)
    except ValueError:
        return False
