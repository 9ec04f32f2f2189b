"""Lowering a quota below what is taken of it: what it does is shown, and whoever wants it says so."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from atoll.cli.session import Session
from atoll.contract.quotas import Confirmable
from atoll.errors import ConfirmationNeededError

Confirmed = Annotated[
    str | None, typer.Option("--confirm", help="`confirm` of the preview that is accepted.")
]


def confirmed(
    session: Session, seen: Confirmable, given: str | None, *, yes: bool, over: str,
    explain: Callable[[], None],
) -> str | None:  # fmt: skip
    """What to confirm the change with, after `explain` has shown what it does, and asking.

    None: nothing to ask. ConfirmationNeededError, which says that more of `over`, when nobody is there.
    """
    if not seen.needs_confirmation:
        return None
    if given == seen.confirm:
        return given
    if given:
        session.say(f"--confirm {given} is not what would happen now:")
    explain()
    if not yes and not sys.stdin.isatty():
        raise ConfirmationNeededError(
            f"More of {over} than the new limits allow, and nobody is there to ask.",
            extra={"next": f"the same with --confirm {seen.confirm}, or with --yes"},
        )
    session.confirm("What runs stays, and nothing of it grows. Go on?", yes=yes)
    return seen.confirm


def say_confirm(session: Session, seen: Confirmable) -> None:
    """What accepts exactly this preview, or that nothing has to."""
    if seen.needs_confirmation:
        session.say(f"to be confirmed with: --confirm {seen.confirm}")
    else:
        session.say("would be accepted")
