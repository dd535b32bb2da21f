"""The schemas of the Ethereum execution API specification: what an answer must look like.

The file is looked for beside the repository and where ETHEREUM_OPENRPC says; it is not part of the repository.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator

PLACE: Final = Path(
    os.environ.get(
        "ETHEREUM_OPENRPC",
        Path(__file__).parents[2].parent / "shared" / "data" / "ethereum_openrpc.json",
    )
)
MISSING: Final = (
    "the schemas of the Ethereum execution API are not here: build openrpc.json of ethereum/execution-apis "
    "and name the file in ETHEREUM_OPENRPC"
)


@cache
def document() -> dict[str, Any]:
    """The whole description."""
    loaded: dict[str, Any] = json.loads(PLACE.read_text(encoding="utf-8"))
    return loaded


def faults_of(answer: Any, schema: dict[str, Any]) -> list[str]:
    """The validator's words against a value, by a schema of the description."""
    whole = {**schema, "components": document()["components"]}
    return [
        f"{error.json_path}: {error.message[:200]}"
        for error in Draft202012Validator(whole).iter_errors(answer)
    ]


def assert_valid(answer: Any, schema: dict[str, Any]) -> None:
    """Fail with the validator's words unless a value is valid against a schema of the description."""
    assert faults_of(answer, schema) == []


def assert_answers(method: str, answer: Any) -> None:
    """Fail unless the answer of a method is valid."""
    (found,) = (each for each in document()["methods"] if each["name"] == method)
    assert_valid(answer, found["result"]["schema"])


def assert_component(name: str, value: Any) -> None:
    """Fail unless a value is valid against a named schema."""
    assert_valid(value, {"$ref": f"#/components/schemas/{name}"})
