"""What refusals must say that several routes give."""

import httpx2


def assert_key_had_another_body(answer: httpx2.Response) -> None:
    """It names the field, says what was wrong with it, and both ways out."""
    problem = answer.json()
    assert (answer.status_code, problem.get("code")) == (422, "idempotency_mismatch"), answer.text
    (error,) = problem["errors"]
    assert error["pointer"] == "/header/Idempotency-Key"
    assert error["detail"] == "was used with another body"
    assert "repeat the first body, or take a new key" in problem["detail"]
    assert problem["who_can_fix"] == "you"
