"""Waiting: each step once with its time, the end of the operation, time-outs, Ctrl-C."""

import time

import httpx2
import pytest

from atoll.errors import NotFoundError
from fakes.atoll_api import FakeApi, event, events, operation, step, virtual_cluster

from .conftest import Run

NAMESPACE = step(
    "namespace", "done", startedAt="2026-01-01T00:00:00Z", finishedAt="2026-01-01T00:00:01.500Z"
)
CREATE = ("vc", "create", "lab", "--team", "vision")
STREAM = "virtual-clusters/lab/events"
OPERATION = "operations/uid-lab.1"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.fixture(autouse=True)
def accepted(api: FakeApi) -> None:
    api.when("POST", "virtual-clusters", virtual_cluster("lab", "Pending"))
    api.when("GET", "virtual-clusters/lab", virtual_cluster("lab"))


def provisioning(*steps: dict[str, object]) -> dict[str, object]:
    return virtual_cluster("lab", "Provisioning", list(steps))


def test_each_step_is_told_once_with_its_time(api: FakeApi, cli: Run) -> None:
    nodes = step("nodes", "failed", message="no free node")
    done = step(
        "nodes", "done", startedAt="2026-01-01T00:00:02Z", finishedAt="2026-01-01T00:00:05Z"
    )
    api.when(
        "GET", STREAM,
        events(
            event("1", provisioning(NAMESPACE, step("nodes", "running"))),
            event("2", provisioning(NAMESPACE, nodes)),
            event("3", provisioning(NAMESPACE, nodes)),
            event("4", virtual_cluster("lab", "Ready", [NAMESPACE, done])),
        ),
    )  # fmt: skip
    running = operation("lab", "running")
    api.when("GET", OPERATION, running, running, running, operation("lab", "succeeded"))

    ended = cli(*CREATE)

    assert ended.code == 0
    told = [" ".join(line.split()) for line in ended.err.splitlines()]
    assert told == [
        "ok Do namespace 1.5 s", "failed Do nodes no free node", "ok Do nodes 3.0 s",
    ]  # fmt: skip
    assert ended.out.splitlines()[1].split()[0] == "lab"


def test_a_failed_operation(api: FakeApi, cli: Run) -> None:
    broken = step("guard-rails", "failed", message="the chart refuses")
    api.when("GET", STREAM, events(event("1", provisioning(broken))))
    problem = NotFoundError("There is no profile 'x'").problem()
    api.when("GET", OPERATION, operation("lab", "failed", error=problem))
    ended = cli(*CREATE)
    assert ended.code == 6
    assert "There is no profile 'x'" in ended.err
    assert ended.out == ""


def test_a_failed_operation_without_a_problem(api: FakeApi, cli: Run) -> None:
    api.when("GET", STREAM, events(event("1", provisioning())))
    broken = step("redis", "failed", message="no memory")
    api.when("GET", OPERATION, operation("lab", "failed", steps=[broken]))
    ended = cli(*CREATE)
    assert ended.code == 1
    assert "no memory" in ended.err


def test_the_time_is_over(api: FakeApi, cli: Run) -> None:
    at = step("redis", "running", message="0 of 1 pods")
    api.when("GET", STREAM, lambda _: events(event("1", provisioning(NAMESPACE, at))))
    api.when("GET", OPERATION, operation("lab", "running"))
    ended = cli(*CREATE, "--timeout", "0.2s")
    assert ended.code == 8
    assert "Do redis (0 of 1 pods)" in ended.err
    assert "next: atoll operation wait uid-lab.1" in ended.err


def test_ctrl_c_detaches(api: FakeApi, cli: Run) -> None:
    def interrupted(_: httpx2.Request) -> httpx2.Response:
        raise KeyboardInterrupt

    api.when("GET", STREAM, interrupted)
    ended = cli(*CREATE)
    assert ended.code == 130
    assert "atoll operation wait uid-lab.1" in ended.err


def test_no_wait_says_accepted(api: FakeApi, cli: Run) -> None:
    ended = cli(*CREATE, "--no-wait")
    assert ended.code == 0
    assert "Accepted" in ended.err
    assert [r.method for r in api.asked] == ["POST"]


def test_a_dry_run_writes_nothing_and_waits_for_nothing(api: FakeApi, cli: Run) -> None:
    ended = cli(*CREATE, "--dry-run")
    assert ended.code == 0
    assert "nothing was written" in ended.err
    assert [(r.method, r.url.params["dry_run"]) for r in api.asked] == [("POST", "server")]


def test_steps_that_were_over_before_stay_unsaid(api: FakeApi, cli: Run) -> None:
    before = virtual_cluster("lab", "Ready", [NAMESPACE])
    api.when("GET", "virtual-clusters/lab", before)
    api.when("PATCH", "virtual-clusters/lab", before)
    api.when("GET", STREAM, events(event("1", before)))
    api.when("GET", OPERATION, operation("lab", "succeeded"))
    ended = cli("vc", "update", "lab", "--quota", "cpu=2")
    assert ended.code == 0
    assert ended.err == ""
    assert api.bodies("PATCH") == [{"spec": {"quota": {"cpu": "2"}}}]


def test_a_new_password_of_redis_is_the_next_version_and_nothing_else(
    api: FakeApi, cli: Run
) -> None:
    before = virtual_cluster("lab", "Ready", [NAMESPACE])
    before["spec"]["redisPasswordVersion"] = 3
    api.when("GET", "virtual-clusters/lab", before)
    api.when("PATCH", "virtual-clusters/lab", before)
    assert cli("vc", "update", "lab", "--new-redis-password", "--no-wait").code == 0
    assert api.bodies("PATCH") == [{"spec": {"redisPasswordVersion": 4}}]


@pytest.mark.parametrize(("text", "wanted"), [("30m", 1800), ("0", 0), ("never", None)])
def test_the_deadline_of_drains_is_a_time_or_never(
    api: FakeApi, cli: Run, text: str, wanted: int | None
) -> None:
    before = virtual_cluster("lab", "Ready", [NAMESPACE])
    api.when("GET", "virtual-clusters/lab", before)
    api.when("PATCH", "virtual-clusters/lab", before)
    assert cli("vc", "update", "lab", "--drain-deadline", text, "--no-wait").code == 0
    assert api.bodies("PATCH") == [{"spec": {"drainDeadlineSeconds": wanted}}]
    assert cli("vc", "update", "lab", "--drain-deadline", "soon").code == 2


def test_an_operation_is_asked_about_even_without_events(api: FakeApi, cli: Run) -> None:
    api.when("GET", STREAM, lambda _: events(": alive\n\n"))
    api.when("GET", OPERATION, operation("lab", "succeeded"))
    assert cli(*CREATE).code == 0


class TestDelete:
    """The end of a virtual cluster is proved, not believed."""

    def test_waits_for_the_last_event(self, api: FakeApi, cli: Run) -> None:
        lab = virtual_cluster("lab", "Deleting")
        api.when("DELETE", "virtual-clusters/lab", lab)
        api.when("GET", STREAM, events(event("1", lab), event("2", lab, "deleted")))
        api.when("GET", OPERATION, operation("lab", "running", action="delete"))
        ended = cli("vc", "delete", "lab", "--yes")
        assert (ended.code, ended.out) == (0, "")
        assert "lab is gone" in ended.err

    def test_a_step_that_is_gone_is_not_told_as_made(self, api: FakeApi, cli: Run) -> None:
        lab = virtual_cluster("lab", "Deleting")
        undone = virtual_cluster("lab", "Deleting", [NAMESPACE])
        api.when("DELETE", "virtual-clusters/lab", lab)
        api.when("GET", STREAM, events(event("1", undone), event("2", undone, "deleted")))
        api.when("GET", OPERATION, operation("lab", "running", action="delete"))
        ended = cli("vc", "delete", "lab", "--yes")
        assert ended.err.splitlines()[0].split() == ["ok", "Undo:", "Do", "namespace", "1.5", "s"]

    def test_gone_before_the_first_look(self, api: FakeApi, cli: Run) -> None:
        api.when("DELETE", "virtual-clusters/lab", virtual_cluster("lab", "Deleting"))
        assert cli("vc", "delete", "lab", "--yes").code == 0

    def test_nobody_there_to_ask(self, api: FakeApi, cli: Run) -> None:
        ended = cli("vc", "delete", "lab")
        assert ended.code == 2
        assert "--yes" in ended.err
        assert [r.method for r in api.asked] == ["GET"]


def test_the_waiter_is_not_fooled_by_a_deletion(api: FakeApi, cli: Run) -> None:
    lab = virtual_cluster("lab", "Deleting")
    api.when("GET", STREAM, events(event("2", lab, "deleted")))
    ended = cli(*CREATE)
    assert ended.code == 6
    assert "was deleted" in ended.err


def test_the_end_of_an_earlier_one_of_that_name_is_passed_over(api: FakeApi, cli: Run) -> None:
    earlier = virtual_cluster("lab", "Deleting") | {"uid": "uid-of-the-earlier"}
    texts = (
        event("1", earlier),
        event("2", earlier, "deleted"),
        event("3", virtual_cluster("lab")),
    )
    api.when("GET", STREAM, events(*texts))
    api.when("GET", OPERATION, operation("lab", "running"), operation("lab", "running"),
             operation("lab", "succeeded"))  # fmt: skip
    ended = cli(*CREATE)
    assert ended.code == 0, ended.err
