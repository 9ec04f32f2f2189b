"""What `atoll up` shows a person: the block at its end on stdout, steps and next commands on stderr."""

import re
from dataclasses import dataclass

import httpx2

_STEP = re.compile(
    r"^  (?:ok|again) +(?P<what>\S.*?) +(?P<seconds>\d+\.\d) s(?:  |$)", re.MULTILINE
)


@dataclass(frozen=True)
class Screen:
    """`closing`: the block at the end by its first words, such as `portal`. `steps`: seconds of each
    step that has its time beside it. `next`: the commands that are offered, in order.
    """

    closing: dict[str, str]
    steps: dict[str, float]
    next: list[str]

    @classmethod
    def read(cls, out: str, err: str) -> "Screen":
        block = (line.split(maxsplit=1) for line in out.splitlines())
        offered = err.partition("\nNext:\n")[2].splitlines()
        return cls(
            {name.lower(): said.split("  ")[0] for name, said in block},
            {found["what"]: float(found["seconds"]) for found in _STEP.finditer(err)},
            [line.strip().split("  ")[0] for line in offered],
        )

    def opens(self) -> None:
        """A browser gets pages at both addresses, and the token opens the API."""
        with httpx2.Client(trust_env=False, follow_redirects=True, timeout=30) as browser:
            for address in (self.closing["portal"], self.closing["api"]):
                page = browser.get(address)
                assert page.status_code == 200, (address, page.text)
                assert page.headers["content-type"].startswith("text/html")
            teams = self.closing["api"].removesuffix("/docs") + "/v1/teams"
            assert browser.get(teams).status_code == 401
            token = {"Authorization": f"Bearer {self.closing['token']}"}
            assert browser.get(teams, headers=token).status_code == 200


def demo_commands(name: str) -> list[str]:
    """The next commands after a demonstration on the platform `name`."""
    return [
        "atoll vc get demo",
        "atoll kubeconfig get demo --write --use",
        "atoll job submit --cluster demo --working-dir DIR -- python FILE",
        f"atoll down --name {name}",
    ]
