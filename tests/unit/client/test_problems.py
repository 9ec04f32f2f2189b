"""Problem details become our errors again, with everything they carry."""

import json

import pytest

from atoll import errors
from atoll.client.problems import error_of

KINDS = [
    errors.InvalidError,
    errors.UnauthenticatedError,
    errors.ForbiddenError,
    errors.NotFoundError,
    errors.ConflictError,
    errors.QuotaExceededError,
    errors.StaleWriteError,
    errors.PreconditionError,
    errors.PreconditionMissingError,
    errors.UnavailableError,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_every_error_survives_the_wire(kind: type[errors.AtollError]) -> None:
    field = errors.FieldProblem("/spec/quota/cpu", "too much", "8")
    sent = kind("Ask for less.", fields=(field,), extra={"asked": "9", "free": "3"})

    got = error_of(sent.status, json.dumps(sent.problem()).encode(), "POST /v1/x")

    assert type(got) is kind
    assert got.problem() == sent.problem()


def test_a_code_of_its_own_is_kept() -> None:
    sent = errors.ConflictError("It is there.", code="exists")
    got = error_of(409, json.dumps(sent.problem()).encode(), "POST /v1/teams")
    assert type(got) is errors.ConflictError
    assert got.code == "exists"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(502, errors.UnavailableError), (404, errors.NotFoundError), (418, errors.AtollError)],
)
def test_an_answer_without_a_problem_says_what_was_asked(
    status: int, kind: type[errors.AtollError]
) -> None:
    got = error_of(status, b"<html>no</html>", "GET /v1/teams")
    assert type(got) is kind
    assert got.detail == f"GET /v1/teams was answered with status {status}"


def test_plain_words_are_passed_on() -> None:
    assert error_of(500, b"boom", "GET /v1/x").detail.endswith("status 500: boom")


def test_a_list_is_no_problem() -> None:
    assert error_of(409, b"[1]", "POST /v1/x").detail.endswith("status 409: [1]")
