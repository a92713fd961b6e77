"""The policies, the notification and the custom action of docs/amazon-q.md: nothing beyond what they are for, and as AWS's models want them."""

import json
import re

import botocore.session
import botocore.validate
import pytest
from cloudformation import ACCOUNT, CONTRACT, REGION, ROOT, TEMPLATE
from simulation import is_allowed

PAGE = (ROOT / "docs/amazon-q.md").read_text()
RUNBOOK, FUNCTION, TRUST, NOTIFICATION, ACTION = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.S))
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:eks-break-glass-recover"
EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:eks-break-glass-recover:1"
LAMBDA = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:eks-break-glass"


@pytest.mark.parametrize(
    ("runbook", "function", "action", "resource"),
    [
        (True, False, "states:StartExecution", MACHINE),
        (True, False, "states:DescribeExecution", EXECUTION),
        (False, False, "states:StartExecution", MACHINE.replace("recover", "fleet")),
        (False, False, "states:DescribeExecution", EXECUTION.replace("recover", "fleet")),
        (False, False, "states:SendTaskSuccess", MACHINE),
        (False, False, "states:SendTaskFailure", MACHINE),
        (False, False, "states:StopExecution", EXECUTION),
        (False, False, "states:UpdateStateMachine", MACHINE),
        (False, True, "lambda:InvokeFunction", LAMBDA),
        (False, False, "lambda:InvokeFunction", LAMBDA + "-chat"),
        (False, False, "lambda:UpdateFunctionConfiguration", LAMBDA),
        (False, False, "lambda:GetFunction", LAMBDA),
        (False, False, "eks:CreateAccessEntry", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod"),
        (False, False, "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        (False, False, "sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
    ],
)
def test_a_channel_may_do_what_its_policy_is_for_and_nothing_beyond(runbook, function, action, resource):
    assert is_allowed([RUNBOOK], action, resource) is runbook
    assert is_allowed([FUNCTION], action, resource) is function


def test_the_policies_name_actions_and_resources_in_full():
    for statement in RUNBOOK["Statement"] + FUNCTION["Statement"]:
        assert statement["Effect"] == "Allow" and "*" not in statement["Action"]
        assert statement["Resource"].removesuffix(":*").count("*") == 0


def test_the_channel_role_trusts_the_service_for_this_account_alone():
    [statement] = TRUST["Statement"]
    assert statement["Principal"] == {"Service": "chatbot.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_the_notification_has_the_form_without_which_it_is_dropped():
    assert (NOTIFICATION["version"], NOTIFICATION["source"]) == ("1.0", "custom")
    assert NOTIFICATION["content"]["description"]
    assert set(NOTIFICATION) <= {"version", "source", "id", "content", "metadata"}
    assert set(NOTIFICATION["content"]) <= {"textType", "title", "description", "nextSteps", "keywords"}
    metadata = {"threadId", "summary", "eventType", "relatedResources", "additionalContext"}
    assert set(NOTIFICATION["metadata"]) <= metadata


def test_the_custom_action_is_as_the_service_wants_it_and_its_variables_are_in_the_notification():
    model = botocore.session.get_session().get_service_model("chatbot")
    shape = model.operation_model("CreateCustomAction").input_shape
    report = botocore.validate.ParamValidator().validate(ACTION, shape)
    assert not report.has_errors(), report.generate_report()
    for name in ("ActionName", "AliasName"):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,30}", ACTION[name])
    variables = re.findall(r"\$(\w+)", ACTION["Definition"]["CommandText"])
    assert set(variables) == set(NOTIFICATION["metadata"]["additionalContext"])


def commands():
    return re.findall(r"^@Amazon Q (.*)$", PAGE, re.M) + [ACTION["Definition"]["CommandText"]]


def test_every_command_is_one_of_the_aws_cli_with_an_event_of_known_fields():
    session = botocore.session.get_session()
    for command in commands():
        service, name = command.split()[:2]
        operation = "".join(word.capitalize() for word in name.split("-"))
        members = session.get_service_model(service).operation_model(operation).input_shape.members
        options = re.findall(r" --([a-z-]+) ", command)
        known = {member.lower() for member in members} | {"region"}
        assert {option.replace("-", "") for option in options} <= known, command
        for event in re.findall(r"\{.*\}", command):
            assert set(json.loads(event)) <= set(CONTRACT["eventFields"]), command
    assert TEMPLATE["Resources"]["RecoverStateMachine"]["Properties"]["Name"] == {"Fn::Sub": "${FunctionName}-recover"}
