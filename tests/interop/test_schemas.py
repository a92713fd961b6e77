"""The JSON Schemas, held to their draft and to the events of this project by a validator that others wrote."""

import json
import pathlib
import re

import jsonschema
import pytest
from conftest import ADMIN
from function import invoke
from referencing import Registry
from referencing.jsonschema import DRAFT202012

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "schemas"
CORPUS = [json.loads(line) for line in (ROOT / "tests/fixtures/hostile-events.jsonl").read_text().splitlines()]


def for_python(schema):
    """Python's `$` matches before a line break at the end, that of JSON Schema does not."""
    if isinstance(schema, dict):
        return {
            key: re.sub(r"\$$", r"\\Z", value) if key == "pattern" else for_python(value)
            for key, value in schema.items()
        }
    return [for_python(item) for item in schema] if isinstance(schema, list) else schema


SCHEMAS = {path.name: for_python(json.loads(path.read_text())) for path in FOLDER.glob("*.json")}
REGISTRY = Registry().with_resources((name, DRAFT202012.create_resource(schema)) for name, schema in SCHEMAS.items())


def validator(name):
    return jsonschema.Draft202012Validator(SCHEMAS[name], registry=REGISTRY)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("path", sorted((ROOT / "events").glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_is_an_event(path):
    validator("event.json").validate(json.loads(path.read_text()))


def test_it_says_of_hostile_events_what_the_suite_says():
    judged = 0
    for hostile in CORPUS:
        if "schema" not in hostile:
            continue
        text, times = hostile.get("fill", ("", 0))
        event = json.loads(hostile["event"].replace("@@", text * times))
        verdict = "takes" if validator("event.json").is_valid(event) else "refuses"
        assert verdict == hostile["schema"], hostile["name"]
        judged += 1
    assert judged > 500


def test_what_the_function_answers_is_a_result(aws):
    environment = {"AWS_ENDPOINT_URL": aws.url}
    event = {"clusterName": "prod", "principalArn": ADMIN}
    granted = invoke(event, environment)
    for result in [granted, invoke(event | {"action": "inspect"}, environment), invoke(granted["undo"], environment)]:
        validator("result.json").validate(result)
