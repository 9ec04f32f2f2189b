"""Who asks. Every use case takes a caller; what a caller may see is decided from it and nothing else."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Caller:
    """A known person or machine, with the roles it holds on the platform ("admin")."""

    name: str
    roles: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_admin(self) -> bool:
        """Whether everything is permitted to them."""
        return "admin" in self.roles


def may_see(caller: Caller, team: str) -> bool:
    """Whether this caller may see what belongs to a team. Today only admins sign in."""
    return caller.is_admin and bool(team)
