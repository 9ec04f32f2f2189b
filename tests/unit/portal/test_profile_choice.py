"""The profiles that a team's page offers."""

from atoll.contract.profiles import ProfileRead
from atoll.contract.quotas import QuotaRead
from atoll.contract.teams import TeamRead
from atoll.portal.forms import new_form
from atoll.portal.pages import team_values
from builders.api_process import profile


def offered(status: str) -> str:
    envelope = {"uid": "u", "revision": "r", "generation": 1}
    read = ProfileRead.model_validate(
        {
            **envelope,
            **profile("stable"),
            "status": {"conditions": [{"type": "Valid", "status": status}]},
        }
    )
    team = TeamRead.model_validate({**envelope, "name": "vision", "spec": {}, "status": {}})
    quota = QuotaRead.model_validate({"team": "vision", "revision": "r", "quota": {}, "use": []})
    shown = team_values(team, quota, [], [read], [], new_form(["stable"]))
    ((name, words),) = shown["profiles"]
    assert name == "stable"
    return str(words)


def test_one_that_is_not_valid_says_so() -> None:
    words = "stable: Kubernetes 1.36.3, Ray 2.60.0"
    assert offered("False") == f"{words} (not valid)"
    assert offered("True") == offered("Unknown") == words
