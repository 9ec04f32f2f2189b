"""The OpenAPI document as it is promised. A change of it is seen in review, in openapi.json."""

import json
import os
from pathlib import Path

from atoll.api.app import create_app
from atoll.settings import Settings

GOLDEN = Path(__file__).with_name("openapi.json")


def test_the_document_is_the_promised_one() -> None:
    text = json.dumps(create_app(Settings()).openapi(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("RENEW_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), (
        "The API's document changed. When that is meant, renew it: "
        "RENEW_GOLDEN=1 pytest tests/unit/api/test_openapi.py"
    )


def test_every_operation_says_what_can_go_wrong_and_every_reference_leads_somewhere() -> None:
    document = create_app(Settings()).openapi()
    names = set(document["components"]["schemas"])
    text = json.dumps(document)
    referred = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= names
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description") or operation.get("summary"), (method, path)
            if path != "/v1/health":
                assert {"401", "403", "422", "503"} <= set(operation["responses"]), (method, path)
