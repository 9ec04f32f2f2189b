"""The quota of a virtual cluster: what another would do, in words, and confirming one below what is used."""

from atoll.cli.confirmations import confirmed, say_confirm
from atoll.cli.output import Shape, pairs, step
from atoll.cli.session import Session
from atoll.client.objects import parse
from atoll.client.transport import Body
from atoll.contract.virtual_clusters import (
    VirtualClusterQuotaLine,
    VirtualClusterQuotaPreview,
    VirtualClusterRead,
)
from atoll.domain.lowering import over_words
from atoll.errors import ConfirmationNeededError

LINES: Shape[VirtualClusterQuotaLine] = Shape(
    ("RESOURCE", lambda c: c.resource),
    ("LIMIT", lambda c: step(c.limit_before, c.limit_after)),
    ("USED", lambda c: c.used),
    ("OVER", lambda c: c.over if c.over != "0" else None),
    name=lambda c: c.resource,
)


def update_confirmed(
    session: Session, found: VirtualClusterRead, spec: Body, *, given: str | None, yes: bool,
    dry_run: bool,
) -> VirtualClusterRead:  # fmt: skip
    """Change the spec; what would put its quota below what is used is shown, and made when confirmed."""
    objects = session.client.virtual_clusters
    try:
        return objects.update(
            found.name, spec, revision=found.revision, dry_run=dry_run, confirm=given
        )
    except ConfirmationNeededError as error:
        seen = parse(VirtualClusterQuotaPreview, error.extra["preview"])
    confirm = confirmed(
        session, seen, given, yes=yes, over=f"{found.name} is used",
        explain=lambda: explain(session, seen),
    )  # fmt: skip
    return objects.update(found.name, spec, revision=found.revision, confirm=confirm)


def explain(session: Session, seen: VirtualClusterQuotaPreview) -> None:
    """A preview in words: what is over, what finds no room, and why it would be refused."""
    for line in seen.lines:
        if line.over != "0":
            taken = f"{line.used} used"
            session.say(over_words(line.resource, taken, line.limit_after, line.over))
    for fit in seen.no_longer_fit:
        session.say(f"Ray cluster {fit.name} would find no room ({pairs(fit.demand)})")
    for refusal in seen.refused:
        limit = f" (limit {refusal.limit})" if refusal.limit else ""
        session.say(f"would be refused: {refusal.pointer}: {refusal.detail}{limit}")
    if not seen.refused:
        say_confirm(session, seen)
