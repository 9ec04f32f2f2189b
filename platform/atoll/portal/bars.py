"""Quota bars: how much of a limit is taken, as numbers, words and a length."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from atoll.domain.quantities import format_quantity, is_binary, parse_quantity

Level = Literal["ok", "near", "full", "over", "open"]
WARN_AT = Decimal("0.75")
"""Share of a limit from which a bar warns."""

LABELS = {
    "cpu": "CPU",
    "memory": "Memory",
    "storage": "Storage",
    "ephemeral-storage": "Ephemeral storage",
    "pods": "Pods",
    "services": "Services",
    "virtualclusters": "Virtual clusters",
    "rayclusters": "Ray clusters",
    "nvidia.com/gpu": "NVIDIA GPUs",
}
_ORDER = list(LABELS)


@dataclass(frozen=True)
class Bar:
    """One resource. `width` is the filled share in percent, 0 to 100."""

    resource: str
    label: str
    text: str
    width: float
    percent: int | None
    level: Level
    note: str


def amount(resource: str, value: Decimal) -> str:
    """A value with the unit people know: "1.5 cores", "8 GiB", "3"."""
    if is_binary(resource):
        return _bytes(value)
    number = f"{value.normalize():f}" if value != value.to_integral_value() else f"{int(value)}"
    if resource == "cpu":
        return f"{number} {'core' if value == 1 else 'cores'}"
    return number


def _bytes(value: Decimal) -> str:
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        size = Decimal(1024) ** power
        if value >= size:
            return f"{round(value / size, 2).normalize():f} {unit}"
    return f"{int(value)} B" if value else "0"


def label_of(resource: str) -> str:
    """The name people know a resource by."""
    return LABELS.get(resource, resource)


def quota_bar(resource: str, taken: str, limit: str | None, word: str) -> Bar:
    """One bar; `word` says what taking means here: reserved or used."""
    used = parse_quantity(taken)
    if limit is None:
        text = f"{amount(resource, used)} {word}, no limit of its own"
        return Bar(resource, label_of(resource), text, 0.0, None, "open", "")
    top = parse_quantity(limit)
    share = used / top if top else Decimal(1 if used else 0)
    level, note = _level(resource, used, top, share)
    return Bar(
        resource,
        label_of(resource),
        f"{_of(resource, used, top)} {word}",
        float(min(share, Decimal(1)) * 100),
        int(share * 100),
        level,
        note,
    )


def _of(resource: str, used: Decimal, top: Decimal) -> str:
    left, right = amount(resource, used), amount(resource, top)
    number, _, unit = left.partition(" ")
    same = unit.rstrip("s") == right.partition(" ")[2].rstrip("s")
    return f"{number if same else left} of {right}"


def _level(resource: str, used: Decimal, top: Decimal, share: Decimal) -> tuple[Level, str]:
    if used > top:
        return "over", f"{amount(resource, used - top)} over the limit"
    if used == top and top:
        return "full", "Nothing is left"
    if share >= WARN_AT:
        return "near", f"Only {amount(resource, top - used)} left"
    return "ok", f"{amount(resource, top - used)} left"


def quota_bars(taken: Mapping[str, str], limits: Mapping[str, str], word: str) -> list[Bar]:
    """One bar per resource of either side, the known ones first."""
    taken = {_plain(name, taken): value for name, value in taken.items()}
    limits = {_plain(name, limits): value for name, value in limits.items()}
    names = sorted({*taken, *limits}, key=_rank)
    return [quota_bar(name, taken.get(name, "0"), limits.get(name), word) for name in names]


def _plain(name: str, of: Mapping[str, str]) -> str:
    """ResourceQuota writes requests.cpu for what people call cpu."""
    short = name.removeprefix("requests.")
    return short if short == name or short not in of else name


def _rank(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def canonical(resource: str, text: str) -> str:
    """A quantity in its shortest form for a form field: "4096Mi" -> "4Gi"."""
    return format_quantity(parse_quantity(text), binary=is_binary(resource))
