"""The chat function of the template: its settings, its URL, and the limits of its role."""

import json
import re

import pytest
from cloudformation import ACCOUNT, CONTRACT, REGION, ROOT, TEMPLATE, parameters, resolve, role_policies
from simulation import is_allowed

RESOURCES = TEMPLATE["Resources"]
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:slack-AbCdEf"
STATE_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:"
MACHINE = STATE_MACHINE + "eks-break-glass-recover"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:eks-break-glass"


def values(**given):
    return parameters(SlackSecretArn=SECRET, **given)


def function(**given):
    return resolve(RESOURCES["ChatFunction"]["Properties"], values(**given))


def test_every_setting_has_a_parameter_and_reaches_the_function():
    table = (ROOT / "docs/chat.md").read_text().split("## Settings")[1].split("\n## ")[0]
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| `(\w+)` \|", table, re.M))
    variables = RESOURCES["ChatFunction"]["Properties"]["Environment"]["Variables"]
    assert {name: value["Ref"] for name, value in variables.items()} == documented | {
        "RECOVER_STATE_MACHINE_ARN": "RecoverStateMachine"
    }
    assert all(name in TEMPLATE["Parameters"] for name in documented.values())
    assert sorted(variables) == sorted(set(CONTRACT["chat"]["settings"]) - {"SLACK_API_URL", "SLACK_RESPONSE_HOSTS"}), "all are read"


def test_without_a_secret_there_is_no_chat():
    made = [name for name, resource in RESOURCES.items() if resource.get("Condition") == "ChatIsUsed"]
    assert made == ["ChatFunction", "ChatFunctionLogGroup", "ChatFailures", "ChatFailed", "ChatFunctionRole", "AskAndTellInChat"]
    url = TEMPLATE["Outputs"]["SlackRequestUrl"]
    assert url["Condition"] == "ChatIsUsed"
    [manifest] = re.findall(r"slack-app-manifest\.\w+", url["Description"])
    assert (ROOT / manifest).exists()
    assert resolve(TEMPLATE["Conditions"]["ChatIsUsed"], parameters()) is False
    assert resolve(TEMPLATE["Conditions"]["ChatIsUsed"], values()) is True


def test_the_runbook_knows_the_chat_function_by_its_name_and_only_where_there_is_one():
    substitutions = RESOURCES["RecoverStateMachine"]["Properties"]["DefinitionSubstitutions"]
    assert resolve(substitutions["ChatFunctionArn"], parameters()) == ""
    assert resolve(substitutions["ChatFunctionArn"], values()) == FUNCTION + "-chat"
    assert function()["FunctionName"] == "eks-break-glass-chat"
    [invoke] = RESOURCES["AskAndTellInChat"]["Properties"]["PolicyDocument"]["Statement"]
    assert (invoke["Action"], invoke["Resource"]) == ("lambda:InvokeFunction", {"Fn::GetAtt": "ChatFunction.Arn"})


def test_calls_at_once_are_bounded_unless_they_are_not_to_be():
    assert function()["ReservedConcurrentExecutions"] == 10
    assert "ReservedConcurrentExecutions" not in function(ChatConcurrency="0")


def test_the_url_is_open_and_what_is_behind_it_is_short():
    """SAM adds the two permissions that an open URL takes (serverless-application-model#3735)."""
    assert function()["FunctionUrlConfig"] == {"AuthType": "NONE"}
    assert CONTRACT["chat"]["secondsForWorkflow"] + 2 == function()["Timeout"] == 10, "or Lambda would end it before it has said why"
    assert RESOURCES["ChatFunction"]["Metadata"]["BuildProperties"] == {"Binary": "chat"}


@pytest.mark.parametrize(
    ("expected", "action", "resource"),
    [
        (True, "states:StartExecution", MACHINE),
        (True, "states:SendTaskSuccess", MACHINE),
        (True, "states:SendTaskFailure", MACHINE),
        (False, "states:StartExecution", STATE_MACHINE + "eks-break-glass-fleet"),
        (False, "states:SendTaskSuccess", STATE_MACHINE + "another"),
        (False, "states:StopExecution", MACHINE),
        (False, "states:UpdateStateMachine", MACHINE),
        (False, "states:DescribeExecution", MACHINE.replace("stateMachine", "execution") + ":slack-1"),
        (True, "secretsmanager:GetSecretValue", SECRET),
        (False, "secretsmanager:GetSecretValue", SECRET.replace("slack", "other")),
        (False, "secretsmanager:PutSecretValue", SECRET),
        (False, "lambda:InvokeFunction", FUNCTION),
        (False, "lambda:InvokeFunction", FUNCTION + "-chat"),
        (False, "eks:CreateAccessEntry", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod"),
        (False, "sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        (False, "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        (False, "kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"),
    ],
)
def test_the_role_starts_and_answers_the_runbook_reads_one_secret_and_that_is_all(expected, action, resource):
    assert "ManagedPolicyArns" not in RESOURCES["ChatFunctionRole"]["Properties"]
    assert is_allowed(role_policies(TEMPLATE, "ChatFunctionRole", SlackSecretArn=SECRET), action, resource) is expected


@pytest.mark.parametrize("arn", ["*", SECRET + "*", SECRET.replace("slack", "s?"), "slack", "arn:aws:s3:::secret"])
def test_the_secret_is_one(arn):
    pattern = TEMPLATE["Parameters"]["SlackSecretArn"]["AllowedPattern"]
    assert re.fullmatch(pattern, SECRET) and re.fullmatch(pattern, "")
    assert not re.fullmatch(pattern, arn)


def test_the_manifest_of_the_slack_app_asks_for_little_and_its_urls_are_to_be_put_right():
    """Lengths: App manifest reference in Slack's documentation."""
    text = (ROOT / "slack-app-manifest.json").read_text()
    manifest = json.loads(text)
    assert set(manifest) == {"_metadata", "display_information", "features", "oauth_config", "settings"}
    [command] = manifest["features"]["slash_commands"]
    interactivity = manifest["settings"]["interactivity"]
    assert command["command"] == "/break-glass" and interactivity["is_enabled"] is True
    assert command["url"] == interactivity["request_url"] and command["url"].startswith("https://")
    assert text.count("https://") == 2, "both are replaced by the output SlackRequestUrl"
    assert manifest["oauth_config"]["scopes"] == {"bot": ["commands", "usergroups:read"]}
    assert len(manifest["display_information"]["name"]) <= 35 and len(manifest["display_information"]["description"]) <= 140
    assert len(command["description"]) <= 2000 and len(command["usage_hint"]) <= 1000


def test_the_guide_names_what_there_is():
    guide = (ROOT / "docs/chat.md").read_text()
    for name in re.findall(r"\b(?:Slack|Chat)[A-Z]\w+\b", guide):
        assert name in TEMPLATE["Parameters"] or name in TEMPLATE["Outputs"], name
