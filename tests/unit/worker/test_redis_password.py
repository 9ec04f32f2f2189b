"""The way to a new password: whoever dies where, nobody who has read the Secret is locked out."""

from dataclasses import dataclass, field, replace

import pytest

from atoll.domain.gcs_store import password_hash
from atoll_worker.reconcile.outcome import AdmitPasswords, SpeakPassword
from atoll_worker.reconcile.ports import Administrator
from atoll_worker.reconcile.steps.redis_password import (
    OVERLAP_SECONDS,
    Passwords,
    Seen,
    next_change,
)


@dataclass
class World:
    """A Secret and processes that do as they are told."""

    said: Passwords
    now: float = 1000.0
    admitted: dict[str, set[str]] = field(default_factory=dict)
    spoken: dict[str, str] = field(default_factory=dict)

    def start(self, pod: str, said: Passwords) -> None:
        """As the start scripts do, by the state of the Secret that the pod sees."""
        self.admitted[pod] = {p for p in (said.current, said.incoming, said.previous) if p}
        self.spoken[pod] = said.current

    def seen(self) -> Seen:
        processes = tuple(
            Administrator(
                pod,
                frozenset(password_hash(p) for p in taken),
                password_hash(self.spoken[pod]),
            )
            for pod, taken in self.admitted.items()
        )
        return Seen(self.said, processes, self.now)

    def move(self, wanted: int, reach: tuple[str, ...]) -> bool:
        """One piece, in the processes that are reached before the worker dies; whether there was one."""
        change = next_change(self.seen(), wanted)
        match change:
            case AdmitPasswords(passwords):
                self.admitted |= {pod: set(passwords) for pod in reach}
            case SpeakPassword(password):
                self.spoken |= dict.fromkeys(reach, password)
            case Passwords():
                self.said = change
        return change is not None

    def open(self) -> bool:
        """Whether everybody gets in everywhere: we, and each process at each other."""
        everyone = {self.said.current, *self.spoken.values()}
        return all(everyone <= taken for taken in self.admitted.values())


PODS = ("redis-0", "redis-1", "sentinel-0")


@pytest.fixture
def world() -> World:
    made = World(Passwords("old"))
    for pod in PODS:
        made.start(pod, made.said)
    return made


def test_nothing_is_done_that_nobody_asked_for(world: World) -> None:
    assert next_change(world.seen(), 0) is None


@pytest.mark.parametrize("reach", [PODS, PODS[:1], PODS[1:]])
def test_everybody_gets_in_at_every_piece(world: World, reach: tuple[str, ...]) -> None:
    """`reach`: how far the worker came in each piece before it died; the next one does it whole."""
    pieces = 0
    while world.move(1, reach):
        assert world.open()
        world.move(1, PODS)
        assert world.open()
        pieces += 1
        assert pieces < 20
    assert world.said.version == 1
    assert world.said.current != "old"
    assert world.said.previous == "old"
    world.now += OVERLAP_SECONDS + 1
    while world.move(1, PODS):
        assert world.open()
    assert world.said == Passwords(world.said.current, version=1, since=world.said.since)
    assert set(map(frozenset, world.admitted.values())) == {frozenset({world.said.current})}


def test_a_pod_that_starts_by_an_older_state_of_the_secret_is_let_in_and_put_right(
    world: World,
) -> None:
    states = [world.said]
    while world.move(1, PODS):
        if world.said != states[-1]:
            states.append(world.said)
    for seen in states[1:]:
        world.start("redis-1", seen)
        assert world.open()
        while world.move(1, PODS):
            assert world.open()
    world.now += OVERLAP_SECONDS + 1
    while world.move(1, PODS):
        assert world.open()
    world.start("redis-1", states[-1])
    while world.move(1, PODS):
        assert world.open()
    assert world.admitted["redis-1"] == {world.said.current}


def test_a_silent_one_is_no_trouble_but_holds_up_a_new_password(world: World) -> None:
    def with_silent() -> Seen:
        seen = world.seen()
        silent = Administrator("sentinel-1", frozenset(), None, silent=True)
        return replace(seen, processes=(*seen.processes, silent))

    assert next_change(with_silent(), 0) is None
    while world.said.current == "old" and (change := next_change(with_silent(), 1)):
        assert isinstance(change, Passwords | AdmitPasswords | SpeakPassword)
        world.move(1, PODS)
    assert world.said.incoming
    assert set(world.spoken.values()) == {world.said.current} == {"old"}
    while world.move(1, PODS):  # it answers, or is gone
        assert world.open()
    assert world.said.previous == "old"


def test_a_second_wish_waits_until_the_first_is_done(world: World) -> None:
    while world.move(1, PODS):
        pass
    assert next_change(world.seen(), 2) is None
    world.now += OVERLAP_SECONDS + 1
    while world.move(2, PODS):
        assert world.open()
    assert world.said.version == 2


def test_the_secret_is_read_as_it_is_written_and_shows_nothing() -> None:
    said = Passwords("a-secret", "b-secret", "c-secret", 3, 12.5)
    assert Passwords.of(said.secret("vc-lab", {})) == said
    assert "a-secret" not in repr(AdmitPasswords(("a-secret",)))
    assert "a-secret" not in repr(SpeakPassword("a-secret"))
