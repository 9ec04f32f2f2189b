"""Nouns that are created, read, changed and removed the same way."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from atoll.client.transport import Body, Transport
from atoll.resources.meta import Model

Read = TypeVar("Read", bound=Model)
Create = TypeVar("Create", bound=Model)


def parse(model: type[Read], data: Any) -> Read:
    """An answer as a model; fields that a newer API sends are passed over."""
    return model.model_validate(data, extra="ignore")


class Objects(Generic[Read, Create]):
    """One noun of the API."""

    def __init__(self, transport: Transport, path: str, read: type[Read]) -> None:
        self._transport = transport
        self._path = path
        self._read = read

    def all(self, **filters: str | None) -> Iterator[Read]:
        """Every object the caller may see, page by page."""
        cursor: str | None = None
        while True:
            page = self._transport.get(self._path, cursor=cursor, limit=200, **filters)
            for item in page["items"]:
                yield parse(self._read, item)
            cursor = page.get("next")
            if not cursor:
                return

    def get(self, name: str) -> Read:
        """One object. Raises NotFoundError."""
        return parse(self._read, self._transport.get(f"{self._path}/{name}"))

    def create(self, new: Create, *, dry_run: bool = False) -> Read:
        """A new object; with `dry_run` only checked. Raises ConflictError, InvalidError, quota."""
        answer = self._transport.send(
            "POST", self._path, body=new.dump(), params=_dry(dry_run)
        )  # fmt: skip
        return parse(self._read, answer.json())

    def update(
        self, name: str, spec: Body, *, revision: str | None = None, dry_run: bool = False,
        confirm: str | None = None,
    ) -> Read:  # fmt: skip
        """Change the spec by JSON merge patch, only while it has `revision` (None: any).

        ConfirmationNeededError when it would put a quota below what is taken of it and `confirm` does
        not name the preview of that.
        """
        answer = self._transport.send(
            "PATCH", f"{self._path}/{name}", body={"spec": spec},
            headers=_match(revision), params=_dry(dry_run) | {"confirm": confirm},
        )  # fmt: skip
        return parse(self._read, answer.json())

    def delete(
        self, name: str, *, revision: str | None = None, dry_run: bool = False
    ) -> Read | None:
        """Ask for the end of an object; what the API answers, None when it has nothing to say."""
        answer = self._transport.send(
            "DELETE", f"{self._path}/{name}", headers=_match(revision), params=_dry(dry_run)
        )
        return parse(self._read, answer.json()) if answer.content else None


def _match(revision: str | None) -> dict[str, str]:
    return {"If-Match": f'"{revision}"' if revision else "*"}


def _dry(dry_run: bool) -> dict[str, str | int | None]:
    return {"dry_run": "server" if dry_run else None}
