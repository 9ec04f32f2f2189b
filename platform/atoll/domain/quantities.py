"""Kubernetes quantities ("500m", "2Gi", "1e3") as exact numbers.

Grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

# As many digits as any real amount has, no more: an exponent without bounds is a way to eat memory.
_FORM = re.compile(
    r"^(?P<number>[0-9]{1,24}(?:\.[0-9]{0,24})?|\.[0-9]{1,24})"
    r"(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?\Z"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def parse_quantity(text: str | int | float) -> Decimal:
    """The value of a non-negative quantity in its base unit (cores, bytes, pieces).

    Raises ValueError, with the accepted forms, when the text is no quantity or is negative.
    """
    found = _FORM.match(str(text).strip())
    if not found:
        raise ValueError(
            f"{str(text)!r} is not a quantity; write a number that is not negative with an optional "
            "unit, such as 500m, 4, 2Gi or 100M"
        )
    number, suffix = Decimal(found["number"]), found["suffix"] or ""
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(int(suffix[1:])) if suffix else number


def format_quantity(value: Decimal, *, binary: bool = False) -> str:
    """The shortest exact text of a value: "1500m", "2Gi" (binary), "7"."""
    if binary and value:
        for suffix, power in reversed(_BINARY.items()):
            unit = Decimal(1024) ** power
            if value % unit == 0:
                return f"{int(value / unit)}{suffix}"
    if value == value.to_integral_value():
        return str(int(value))
    return f"{int((value * 1000).to_integral_value(rounding='ROUND_CEILING'))}m"


def is_binary(resource: str) -> bool:
    """Whether people write this resource in bytes (memory, storage) rather than in pieces."""
    return "memory" in resource or "storage" in resource


def add_quantities(*parts: Mapping[str, str]) -> dict[str, str]:
    """The sum, resource by resource, in canonical text."""
    total: dict[str, Decimal] = {}
    for part in parts:
        for name, text in part.items():
            total[name] = total.get(name, Decimal(0)) + parse_quantity(text)
    return {name: format_quantity(v, binary=is_binary(name)) for name, v in sorted(total.items())}


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(
            "must be a quantity: a number that is not negative with an optional unit, such as 500m, 4, "
            "2Gi or 100M"
        )
    return str(value)


def _checked(text: str) -> str:
    parse_quantity(text)
    return text


Quantity = Annotated[str, BeforeValidator(_text), AfterValidator(_checked)]
"""A pydantic field type: text that `parse_quantity` accepts; numbers are turned into text."""
