"""Values that make no sense are refused before anything is sent, in words that name the value."""

import json

import pytest
import yaml

from charts.rendering import CHARTS, HELM, modes, template

REFUSED = [
    ("tenant", "fenc=1", "additional properties 'fenc' not allowed"),
    ("tenant", "redis.memroy=1Gi", "additional properties 'memroy' not allowed"),
    ("tenant", "team=", "/team"),
    ("tenant", "team=Physics", "/team"),
    ("tenant", "fence=-1", "/fence"),
    ("tenant", "fence=two", "/fence"),
    ("tenant", "redis.replicas=2", "/redis/replicas"),
    ("tenant", "redis.image=redis", "/redis/image"),
    ("tenant", "redis.image=redis:latest", "redis.image redis:latest"),
    ("tenant", "redis.memory=0.5Gi", "/redis/memory"),
    ("tenant", "redis.memory=100", "/redis/memory"),
    ("tenant", "redis.storage=-1Gi", "/redis/storage"),
    ("tenant", "quota.hard.pods=many", "/quota/hard/pods"),
    ("tenant", "network.hostApiServer.ports[0]=70000", "/network/hostApiServer/ports/0"),
    ("tenant", "network.apiServerFrom[0].cidr=10.0.0.1", "/network/apiServerFrom/0/cidr"),
    ("atoll", "api.replica=2", "additional properties 'replica' not allowed"),
    ("atoll", "secretName=", "secretName is empty"),
    ("atoll", "image.tag=latest", "image.tag is latest"),
    ("atoll", "image.digest=sha256:12", "/image/digest"),
    ("atoll", "broker.image=redis:latest", "broker.image has the tag latest"),
    ("atoll", "broker.enabled=false", "broker.external.host"),
    ("atoll", "broker.memory=5", "/broker/memory"),
    ("atoll", "bundle.hostPath=/a,bundle.image=b:1", "bundle has hostPath and image"),
    ("atoll", "ingress.enabled=true", "give ingress.host"),
    ("atoll", "publicUrl=atoll.example.com", "/publicUrl"),
    ("atoll", "lease=0", "/lease"),
    ("atoll", "worker.concurrency=0", "/worker/concurrency"),
    ("atoll", "log.level=loud", "/log/level"),
]


@pytest.mark.parametrize(
    ("chart", "change", "words"), REFUSED, ids=[f"{c}-{s}" for c, s, _ in REFUSED]
)
def test_refuses(chart: str, change: str, words: str) -> None:
    values = HELM / chart / "ci" / {"tenant": "defaults", "atoll": "kind"}[chart]
    answer = template(chart, values.with_name(values.name + "-values.yaml"), "--set", change)
    assert answer.returncode != 0
    assert words in answer.stderr
    assert answer.stdout == ""


def test_an_empty_secret_name_tells_the_command_that_makes_the_secret() -> None:
    answer = template("atoll", modes("atoll")[0], "--set", "secretName=")
    assert "kubectl --namespace atoll-system create secret generic atoll" in answer.stderr


@pytest.mark.parametrize("chart", CHARTS)
def test_the_schema_is_closed_everywhere(chart: str) -> None:
    schema = json.loads((HELM / chart / "values.schema.json").read_text())
    opened = []

    def walk(node: object, path: str) -> None:
        if isinstance(node, dict):
            inner = "properties" in node and node.get("type") == "object"
            if inner and node.get("additionalProperties") is not False:
                opened.append(path)
            for key, value in node.items():
                walk(value, f"{path}/{key}")

    walk(schema, "")
    assert schema["properties"]
    assert opened == []


@pytest.mark.parametrize("chart", CHARTS)
def test_every_default_is_in_the_schema_and_every_value_has_a_default(chart: str) -> None:
    schema = json.loads((HELM / chart / "values.schema.json").read_text())
    values = yaml.safe_load((HELM / chart / "values.yaml").read_text())

    def compare(node: dict[str, object], given: object, path: str) -> list[str]:
        if "$ref" in node:
            node = schema["definitions"][str(node["$ref"]).rsplit("/", 1)[1]]
        properties = node.get("properties")
        if not isinstance(properties, dict) or not isinstance(given, dict) or not given:
            return []
        missing = [f"{path}.{key}" for key in set(properties) ^ set(given) - {"global"}]
        return missing + [
            word
            for key in given
            if key in properties
            for word in compare(properties[key], given[key], f"{path}.{key}")
        ]

    assert [word for word in compare(schema, values, "") if word != ".global"] == []


@pytest.mark.parametrize("chart", CHARTS)
def test_every_value_is_in_the_reference(chart: str) -> None:
    text = (HELM.parent / "docs" / "reference" / "charts.md").read_text()
    (section,) = [
        part for part in text.split("### Values of ")[1:] if part.startswith(f"`helm/{chart}`")
    ]
    values = yaml.safe_load((HELM / chart / "values.yaml").read_text())

    def named(path: str) -> bool:
        parent, _, leaf = path.rpartition(".")
        exact = any(
            f"`{word}`" in section for word in (path, f".{leaf}", f"{parent}.*", f"{path}.*")
        )
        return exact or f"`{path}." in section

    paths = [
        f"{key}.{inner}" if inner else key
        for key, value in values.items()
        for inner in (value if isinstance(value, dict) and value else [""])
    ]
    assert len(paths) > 15
    assert [path for path in paths if not named(path)] == []
