"""Which of the function's doors the workflows use, and when they ask for an approval: their expressions, evaluated. `tests/interop` runs them whole."""

import functools
import json
import re
import subprocess

import pytest
import yaml
from cloudformation import ROOT

FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:eks-break-glass"
APPROVED = FUNCTION + ":approved"
YES, NO = {"approved": True, "by": "john"}, {"approved": "perhaps"}


@functools.cache
def evaluator():
    command = [ROOT / ".tools/ministack/bin/python", "-B", ROOT / "tests/template/jsonata_evaluator.py"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def evaluated(text, given=None, context=None, **variables):
    """The value of a field of a state."""
    question = {"expression": re.fullmatch(r"\{%(.*)%\}\s*", text, re.S)[1].strip(), "input": given, "context": context or {}, "variables": variables}
    process = evaluator()
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def states(name, approval="false"):
    text = (ROOT / f"statemachines/{name}.asl.yaml").read_text()
    for variable, value in {"FunctionArn": FUNCTION, "RequireApproval": approval, "ChatFunctionArn": ""}.items():
        text = text.replace("${" + variable + "}", value)
    return yaml.safe_load(text)["States"]


def chosen(state, **variables):
    """The state that a choice leads to."""
    return next((choice["Next"] for choice in state["Choices"] if evaluated(choice["Condition"], **variables)), state["Default"])


GRANT, REVOKE, INSPECT = {}, {"action": "revoke"}, {"action": "inspect"}
EMERGENCY = {"emergency": True}


@pytest.mark.parametrize(
    ("event", "approval", "expected"),
    [
        (GRANT, YES, APPROVED),
        ({"action": "grant"}, YES, APPROVED),
        ({"action": "repair"}, YES, APPROVED),
        (GRANT, {}, FUNCTION),
        (GRANT, NO, FUNCTION),
        (REVOKE, YES, FUNCTION),
        (REVOKE, {}, FUNCTION),
        (INSPECT, {}, FUNCTION),
        (EMERGENCY, {}, FUNCTION),
        (EMERGENCY, YES, FUNCTION),
    ],
)
def test_only_an_approved_request_goes_through_the_alias_approved(event, approval, expected):
    plan = {} if event is INSPECT else {"action": event.get("action", "grant")}
    named = states("recover")["Act"]["Arguments"]["FunctionName"]
    assert evaluated(named, event=event, approval=approval, plan=plan) == expected
    if event is not EMERGENCY:
        item = {"Map": {"Item": {"Index": 0, "Value": event}}}
        selected = states("fleet")["Run"]["ItemSelector"]["functionArn"]
        assert evaluated(selected, context=item, phase="act", approval=approval) == expected
        assert evaluated(selected, context=item, phase="plan", approval=approval) == FUNCTION


@pytest.mark.parametrize("name", ["recover", "fleet"])
def test_no_other_state_uses_an_alias(name):
    text = json.dumps(states(name))
    assert text.count(FUNCTION + ":") == 1
    for task in re.findall(r'"FunctionName": "([^"]+)"', text):
        assert task == FUNCTION or "approved" in task or "functionArn" in task or task == "{% '' %}", task


def plan(action="grant", steps=("PLANNED",), **fields):
    return {"status": "PLANNED", "action": action, "steps": [{"outcome": outcome} for outcome in steps]} | fields


PROVEN, UNKNOWN = ({"accessEntry": {"ownership": ownership}} for ownership in ("PROVEN", "UNKNOWN"))


@pytest.mark.parametrize(
    ("required", "chat", "event", "planned", "expected"),
    [
        ("false", None, GRANT, plan(), "Act"),
        ("true", None, GRANT, plan(), "ChooseApprovalChannel"),
        ("true", None, GRANT, plan(steps=["SKIPPED"]), "NothingToApprove"),
        ("true", None, REVOKE, plan("revoke", **PROVEN), "ChooseApprovalChannel"),
        ("true", None, {"dryRun": True}, plan(), "Done"),
        # An emergency needs no approval, unless it comes from chat.
        ("true", None, EMERGENCY, plan(), "Act"),
        ("true", {}, EMERGENCY, plan(), "ChooseApprovalChannel"),
        ("false", {}, EMERGENCY, plan(), "ChooseApprovalChannel"),
        ("true", None, {"emergency": "true"}, plan(), "ChooseApprovalChannel"),
        # From chat, only a revoke of what the function has granted needs no approval.
        ("false", {}, GRANT, plan(), "ChooseApprovalChannel"),
        ("false", {}, {"action": "repair"}, plan("repair"), "ChooseApprovalChannel"),
        ("false", {}, REVOKE, plan("revoke", **PROVEN), "Act"),
        ("false", {}, REVOKE, plan("revoke", **UNKNOWN), "ChooseApprovalChannel"),
        ("false", {}, REVOKE, plan("revoke", accessEntry=None), "ChooseApprovalChannel"),
        ("false", {}, REVOKE, plan("revoke", steps=[], **UNKNOWN), "NothingToApprove"),
        ("true", {}, REVOKE, plan("revoke", **PROVEN), "ChooseApprovalChannel"),
        ("false", None, REVOKE, plan("revoke", **UNKNOWN), "Act"),
    ],
)
def test_who_needs_an_approval(required, chat, event, planned, expected):
    assert chosen(states("recover", required)["NeedsApproval"], chat=chat, event=event, plan=planned) == expected


@pytest.mark.parametrize("status", ["ALREADY_GRANTED", "NOTHING_TO_REVOKE", "SUPERSEDED", "NOTHING_TO_REPAIR"])
def test_the_result_of_an_empty_plan_has_the_status_that_the_function_expects(status):
    empty = plan(steps=[], plannedStatus=status, nextSteps=["..."], undo=None)
    result = evaluated(states("recover")["NothingToApprove"]["Assign"]["result"], plan=empty)
    assert result == {"status": status, "action": "grant", "steps": [], "nextSteps": [], "undo": None}
    assert next(iter(result)) == "status"


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        ({"clusters": [{"clusterName": "prod"}, {"clusterName": "dev", "emergency": False}]}, "ReadInput"),
        ({"clusters": [{"clusterName": "prod"}, {"clusterName": "dev", "emergency": True}]}, "Malformed"),
        ({"clusters": [{"clusterName": "prod"}], "defaults": {"emergency": True}}, "Malformed"),
        ({"clustersFrom": {"bucket": "lists", "key": "fleet.csv"}, "defaults": {"emergency": True}}, "Malformed"),
        ({"clustersFrom": {"bucket": "lists", "key": "fleet.csv"}}, "ReadCsv"),
    ],
)
def test_an_emergency_is_no_part_of_a_fleet(fleet, expected):
    whole = {"defaults": {}, "dryRun": False, "toleratedFailurePercentage": 100} | fleet
    assert chosen(states("fleet")["IsWellFormed"], fleet=whole) == expected
