"""Commands a person can copy, filled with the real names."""

from dataclasses import dataclass

from atoll.contract.virtual_clusters import VirtualClusterRead


@dataclass(frozen=True)
class Snippet:
    """A command and what it does."""

    says: str
    text: str


def snippets(vc: VirtualClusterRead, api_url: str) -> list[Snippet]:
    """The page of a virtual cluster as commands."""
    ray = vc.spec.ray_clusters[0].name if vc.spec.ray_clusters else "main"
    hello = "python -c 'print(42)'"
    way = f"{api_url.rstrip('/')}/v1/virtual-clusters/{vc.name}"
    return [
        Snippet("Its state", f"atoll vc get {vc.name}"),
        Snippet("What another quota would do", f"atoll vc preview {vc.name} --quota cpu=4"),
        Snippet("Use kubectl", f"atoll kubeconfig get {vc.name} > {vc.name}.yaml\n"
                f"kubectl --kubeconfig {vc.name}.yaml get pods -A"),
        Snippet("Submit a Ray job", f"atoll job submit --vc {vc.name} --cluster {ray} -- {hello}"),
        Snippet("Or with Ray's own tool",
                f"RAY_JOB_HEADERS='{{\"Authorization\": \"Bearer '$ATOLL_TOKEN'\"}}' \\\n"
                f"  ray job submit --address {way}/ray-clusters/{ray}/proxy -- {hello}"),
        Snippet("Delete it", f"atoll vc delete {vc.name}"),
    ]  # fmt: skip
