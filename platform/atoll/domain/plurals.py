"""Numbers with their nouns, as people write them."""

_IRREGULAR = {"is": "are", "has": "have"}


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 worker", "2 workers"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def verb(number: int, singular: str) -> str:
    """The verb that goes with a number of things: "is" or "are", "has" or "have"."""
    return singular if number == 1 else _IRREGULAR[singular]
