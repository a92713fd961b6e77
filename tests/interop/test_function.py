"""The function, with the AWS CLI as a witness that did not read its code."""

import json
import pathlib
import shlex
import subprocess
import sys

import yaml
from conftest import ADMIN, POLICY
from function import invoke


def test_the_aws_cli_sees_what_the_function_granted(aws):
    result = invoke({"clusterName": "prod", "principalArn": ADMIN, "reason": "INC-1"}, {"AWS_ENDPOINT_URL": aws.url})
    assert result["status"] == "GRANTED", result
    entry = ("--cluster-name", "prod", "--principal-arn", ADMIN)
    described = aws.cli("eks", "describe-access-entry", *entry)["accessEntry"]
    assert described["accessEntryArn"] == result["accessEntry"]["arn"]
    assert described["tags"]["eks-break-glass:reason"] == "INC-1"
    [policy] = aws.cli("eks", "list-associated-access-policies", *entry)["associatedAccessPolicies"]
    assert (policy["policyArn"], policy["accessScope"]["type"]) == (POLICY, "cluster")


def test_the_kubeconfig_is_what_update_kubeconfig_writes(aws, tmp_path):
    result = invoke({"clusterName": "prod", "principalArn": ADMIN}, {"AWS_ENDPOINT_URL": aws.url})
    written = tmp_path / "config"
    command = shlex.split(result["nextSteps"][0])
    assert command[:3] == ["aws", "eks", "update-kubeconfig"]
    aws_cli = pathlib.Path(sys.executable).with_name("aws")
    subprocess.run([aws_cli, *command[1:], "--kubeconfig", written], env=aws.environment, check=True, capture_output=True)
    assert yaml.safe_load(result["kubeconfig"]) == yaml.safe_load(written.read_text())


def test_the_aws_cli_sees_the_whole_round(aws):
    environment = {
        "AWS_ENDPOINT_URL": aws.url,
        "SCHEDULE_GROUP": "eks-break-glass",
        "SCHEDULE_ROLE_ARN": "arn:aws:iam::111122223333:role/schedules",
    }
    event = {"clusterName": "prod", "principalArn": ADMIN}
    before = aws.cli("eks", "list-access-entries", "--cluster-name", "prod")
    granted = invoke(event | {"duration": "1h"}, environment)
    [schedule] = aws.cli("scheduler", "list-schedules", "--group-name", "eks-break-glass")["Schedules"]
    shown = aws.cli("scheduler", "get-schedule", "--group-name", "eks-break-glass", "--name", schedule["Name"])
    assert shown["ScheduleExpression"] == f"at({granted['expiresAt'].removesuffix('Z')})"
    assert json.loads(shown["Target"]["Input"]) == granted["undo"] | {"expiresAt": granted["expiresAt"]}
    found = invoke({"action": "inspect", "clusterName": "prod", "principalArn": ADMIN}, environment)
    assert [finding["code"] for finding in found["findings"]] == ["ACCESS_OK", "ACTIVE_GRANTS"]
    assert invoke(granted["undo"], environment)["status"] == "REVOKED"
    assert aws.cli("eks", "list-access-entries", "--cluster-name", "prod") == before
    assert aws.cli("scheduler", "list-schedules", "--group-name", "eks-break-glass")["Schedules"] == []
