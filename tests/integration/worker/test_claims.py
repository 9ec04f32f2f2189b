"""A claim of storage beyond the whole quota, on a real API server: refused when it is made, in words."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from e2e.kube import Kube, Object
from integration.worker.admission import put
from waiting import until

CLAIMS = "/api/v1/namespaces/other/persistentvolumeclaims"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
HELD = f"{CLAIMS}/held"
WORDS = (
    "This claim asks for 11Gi of storage; the whole quota of virtual cluster x is 10Gi, so it would wait "
    "for ever. Ask for less"
)


def claim(size: str, name: str = "data") -> Object:
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "growing",
            "resources": {"requests": {"storage": size}},
        },
    }  # fmt: skip


def ask(kube: Kube, size: str) -> httpx2.Response:
    """A create that leaves nothing behind."""
    return kube.create(f"{CLAIMS}?dryRun=All", claim(size))


def resize(kube: Kube, size: str) -> httpx2.Response:
    """The growth of the claim that is there; leaves it as it is."""
    body = {"spec": {"resources": {"requests": {"storage": size}}}}
    return kube.send("PATCH", f"{HELD}?dryRun=All", body)


async def lift(kube: Kube, inside_file: Path) -> None:
    """As the worker does when the quota names storage no more."""
    bindings = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    kube.delete(f"{bindings}/atoll-claims")
    await put(inside_file, None, {"cpu": "4"})
    until(lambda: ask(kube, "1Ti").status_code == 201, "claims of any size are taken", 30)


@pytest.fixture
async def limited(inside_file: Path, kube: Kube) -> AsyncIterator[Kube]:
    """Ten GiB are the whole quota; a claim of eight is there, of a class that lets claims grow."""
    await lift(kube, inside_file)
    growing = {"metadata": {"name": "growing"}, "provisioner": "example.org/any",
               "allowVolumeExpansion": True}  # fmt: skip
    kube.create(CLASSES, growing).raise_for_status()
    kube.create(CLAIMS, claim("8Gi", "held")).raise_for_status()
    bound = {"phase": "Bound", "capacity": {"storage": "8Gi"}}
    kube.patch(f"{HELD}/status", {"status": bound})
    await put(inside_file, None, {"storage": "10Gi"})
    until(lambda: ask(kube, "1Ti").status_code == 403, "the quota is known inside", 30)
    yield kube
    kube.patch(HELD, {"metadata": {"finalizers": None}})  # no controller is here to let it go
    for path in (HELD, f"{CLASSES}/growing"):
        kube.delete(path)
        until(lambda path=path: kube.get(path) is None, "gone", 30)


def test_a_claim_beyond_the_whole_quota_is_refused_with_both_numbers(limited: Kube) -> None:
    answer = ask(limited, "11Gi")
    assert answer.status_code == 403
    assert WORDS in answer.json()["message"]
    for fits in ("10Gi", "10240Mi", "1"):
        assert ask(limited, fits).status_code == 201, fits


async def test_it_cannot_grow_beyond_it_and_what_does_not_grow_stays_when_the_quota_is_lowered(
    limited: Kube, inside_file: Path
) -> None:
    assert resize(limited, "9Gi").status_code == 200
    assert WORDS in resize(limited, "11Gi").json()["message"]
    await put(inside_file, None, {"storage": "5Gi"})
    until(lambda: resize(limited, "9Gi").status_code == 403, "the lower quota holds", 30)
    label = {"metadata": {"labels": {"kept": "yes"}}}
    assert limited.send("PATCH", f"{HELD}?dryRun=All", label).status_code == 200


async def test_without_storage_in_the_quota_claims_are_not_limited(
    limited: Kube, inside_file: Path
) -> None:
    await lift(limited, inside_file)
