"""Ray heads keep their state in a Redis of others, over TLS, in real pods; and leave nothing in it."""

from collections.abc import Iterator

import pytest

from atoll.contract.profiles import ProfileCreate
from atoll.contract.virtual_clusters import VirtualClusterRead
from atoll.domain.gcs_store import credentials_name
from atoll.domain.names import RAY_NAMESPACE, SYSTEM_NAMESPACE
from atoll.domain.ray_clusters import mirrored
from atoll.resources.meta import Condition
from atoll.resources.profiles import ExternalRedis
from e2e.clusters import Clusters, small_ray
from e2e.figures import Figures
from e2e.kube import Object, secret_value
from e2e.local import Local
from e2e.test_gcs_fault_tolerance import RAYS, Site
from e2e.their_redis import USER, TheirRedis, their_redis
from waiting import until

NAME, PROFILE, SECRET = "abroad", "theirs", "their-redis"
SECRETS = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets"
FOREIGN = {"app", "RAYsomebody@KV"}
"""Keys of others: no business of ours."""


@pytest.fixture(scope="module")
def theirs(platform: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TheirRedis]:
    """Their Redis with something of theirs in it; the platform has its Secret, and a profile names it."""
    host = platform.stage.host
    with platform.client() as client:
        spec = client.profiles.get("default").spec.model_copy(deep=True)
    image = mirrored(spec.redis.image, spec.registry)
    with their_redis(platform.stage, tmp_path_factory.mktemp("theirs"), image) as found:
        for key in FOREIGN:
            found.cli("hset", key, "a", "1")
        values = {"username": USER, "password": found.password, "ca.crt": found.authority}
        made = host.create(SECRETS, {"metadata": {"name": SECRET}, "stringData": values})
        assert made.status_code == 201, made.text
        spec.redis.external = ExternalRedis(
            address=found.address, tls=True, secret=SECRET, networks=found.networks
        )
        with platform.client() as client:
            client.profiles.create(ProfileCreate(name=PROFILE, spec=spec))
        yield found
        host.delete(f"{SECRETS}/{SECRET}")
        with platform.client() as client:
            client.profiles.delete(PROFILE)


@pytest.fixture(scope="module")
def site(platform: Local, theirs: TheirRedis, figures: Figures) -> Iterator[Site]:
    """A virtual cluster whose Ray cluster keeps its state there."""
    made = Clusters(platform, figures)
    try:
        made.ask(NAME, profile=PROFILE, rays=[small_ray()])
        with figures.timed("external Redis with TLS: to Ready"):
            made.ready(NAME)
        site = Site(made.stage, made.stage.inside(NAME), NAME)
        until(lambda: site.count() is not None, "the actor answers", 60)
        yield site
    finally:
        made.remove_all()


def told(found: VirtualClusterRead) -> Condition:
    """What is said of the Redis."""
    return next(one for one in found.status.conditions if one.type == "RedisReady")


def environment(pod: Object) -> dict[str, str]:
    """What the pod's first container is told in plain text."""
    return {one["name"]: one.get("value", "") for one in pod["spec"]["containers"][0]["env"]}


def test_its_keys_are_there_under_a_user_that_reaches_no_others(
    site: Site, theirs: TheirRedis
) -> None:
    uid = (site.inside.get(f"{RAYS}/rays") or {})["metadata"]["uid"]
    assert theirs.cli("keys", "RAY*@NODE") == [f"RAY{uid}@NODE"]
    names = site.stage.host.items(f"/api/v1/namespaces/vc-{NAME}/pods")
    assert not [pod for pod in names if pod["metadata"]["name"].startswith("redis")]
    (head,) = site.pods("head")
    env = environment(head)
    assert env["RAY_REDIS_ADDRESS"] == f"rediss://{theirs.address}"
    assert env["RAY_REDIS_CA_CERT"]
    secret = f"/api/v1/namespaces/{RAY_NAMESPACE}/secrets/{credentials_name('RayCluster', 'rays')}"
    found = site.inside.get(secret)
    assert found is not None
    user, password = secret_value(found, "username"), secret_value(found, "password")
    assert user.startswith(f"{NAME}.")
    assert sorted(theirs.cli("acl", "users")) == sorted(["default", USER, user])
    commands = f"hlen RAY{uid}@NODE", "hgetall RAYsomebody@KV", "set app mine", "acl list"
    nodes, *refused = theirs.as_user(user, password, *commands)
    assert int(nodes) >= 1
    assert len(refused) == 3
    assert all("NOPERM" in words for words in refused), refused


def test_a_killed_head_comes_back_with_its_actor(site: Site, figures: Figures) -> None:
    with site.kept("external Redis with TLS: head killed", figures):
        (head,), before = site.pods("head"), site.head_starts()
        site.kill("ray", head["metadata"]["name"])
        site.head_begins_after(before)


def test_a_ray_cluster_that_is_deleted_takes_its_keys_along(
    site: Site, theirs: TheirRedis, figures: Figures
) -> None:
    """By KubeRay's clean-up pod, which must believe the authority as the head did."""
    rays = site.inside.get(f"{RAYS}/rays")
    assert rays is not None
    # Written by somebody who knows nothing of the Redis.
    like = {key: rays["spec"][key] for key in ("rayVersion", "headGroupSpec")}
    bare: Object = {
        "apiVersion": "ray.io/v1", "kind": "RayCluster",
        "metadata": {"name": "mine", "namespace": RAY_NAMESPACE},
        "spec": {**like, "workerGroupSpecs": []},
    }  # fmt: skip
    answer = site.inside.create(RAYS, bare)
    assert answer.status_code == 201, answer.text
    uid = answer.json()["metadata"]["uid"]

    def ready() -> bool:
        status = (site.inside.get(f"{RAYS}/mine") or {}).get("status") or {}
        return status.get("state") == "ready"

    until(ready, "the Ray cluster is ready", 240)
    assert f"RAY{uid}@NODE" in theirs.cli("keys", f"RAY{uid}@*")
    site.inside.delete(f"{RAYS}/mine")
    # KubeRay lets it go without after five minutes, and what is left then is swept ten minutes later.
    with figures.timed("external Redis with TLS: keys of a deleted Ray cluster gone"):
        until(lambda: site.inside.get(f"{RAYS}/mine") is None, "the Ray cluster is gone", 200)
    assert theirs.cli("keys", f"RAY{uid}@*") == []
    until(lambda: len(theirs.cli("acl", "users")) == 3, "its user is gone", 60)


def test_a_wrong_password_is_told_with_its_cause_and_goes_on_when_it_is_mended(
    site: Site, theirs: TheirRedis, platform: Local, figures: Figures
) -> None:
    made, wrong = Clusters(platform, figures), "quite-another-password"
    value = site.patient_count()
    site.stage.host.patch(f"{SECRETS}/{SECRET}", {"stringData": {"password": wrong}})
    # It is read at every look, and a change of the wish causes one.
    with platform.client() as client:
        client.virtual_clusters.update(NAME, {"drainDeadlineSeconds": 600})
    found = made.until(NAME, lambda vc: told(vc).reason == "RedisRefused", "refused by Redis", 120)
    assert told(found).status == "False"
    for words in (theirs.address, f"{SYSTEM_NAMESPACE}/{SECRET}", "password"):
        assert words in told(found).message
    assert wrong not in found.model_dump_json()
    # The Ray cluster has a user of its own, and goes on.
    assert site.patient_count() > value
    theirs.let_in(wrong)
    with figures.timed("external Redis with TLS: Ready again after the password was mended"):
        made.ready(NAME)
    assert site.patient_count() > value + 1


def test_deleting_it_leaves_nothing_of_it_there_and_all_that_is_of_others(
    site: Site, theirs: TheirRedis, platform: Local, figures: Figures
) -> None:
    assert set(theirs.cli("keys", "*")) > FOREIGN
    seconds = Clusters(platform, figures).remove(NAME)
    figures.note(f"external Redis with TLS: deleted with nothing left in {seconds:.1f} s")
    assert set(theirs.cli("keys", "*")) == FOREIGN
    assert sorted(theirs.cli("acl", "users")) == sorted(["default", USER])
