"""MiniStack, an AWS emulator that others wrote, as a second AWS for what it can do: it knows entries and policies, but no change
of authentication mode, and refuses nothing that EKS refuses."""

import datetime
import io
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
import zipfile

import pytest
from conftest import ADMIN, POLICY, ROOT, Aws
from function import invoke


@pytest.fixture
def ministack():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",
            "PERSIST_STATE": "0",
            "TMPDIR": folder,
            "STATE_DIR": folder,
            "S3_DATA_DIR": folder,
        }
        process = subprocess.Popen(
            [ROOT / ".tools/ministack/bin/ministack"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        aws = Aws(f"http://127.0.0.1:{port}")
        try:
            answers(aws, process)
            eks, iam = aws.client("eks"), aws.client("iam")
            iam.create_role(RoleName="new-cluster-admin", AssumeRolePolicyDocument="{}")
            eks.create_cluster(
                name="prod",
                roleArn="arn:aws:iam::000000000000:role/cluster",
                resourcesVpcConfig={"subnetIds": []},
                accessConfig={"authenticationMode": "API"},
            )
            while eks.describe_cluster(name="prod")["cluster"]["status"] != "ACTIVE":
                time.sleep(0.05)
            yield aws
        finally:
            process.terminate()
            process.wait()


def answers(aws, process):
    for _ in range(600):
        assert process.poll() is None, "MiniStack ended"
        try:
            return urllib.request.urlopen(f"{aws.url}/_ministack/health", timeout=1)
        except OSError:
            time.sleep(0.05)
    raise AssertionError("MiniStack does not answer")


def test_a_grant_works_on_an_emulator_that_others_wrote(ministack):
    principal = ministack.client("iam").get_role(RoleName="new-cluster-admin")["Role"]["Arn"]
    event = {"clusterName": "prod", "principalArn": principal}
    result = invoke(event, {"AWS_ENDPOINT_URL": ministack.url})
    assert result.get("status") == "GRANTED", result
    eks = ministack.client("eks")
    [policy] = eks.list_associated_access_policies(**{"clusterName": "prod", "principalArn": principal})["associatedAccessPolicies"]
    assert policy["policyArn"] == POLICY
    assert invoke(event, {"AWS_ENDPOINT_URL": ministack.url})["status"] == "ALREADY_GRANTED"


def deploy(aws):
    """The function in MiniStack's Lambda, with a schedule group of its own."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        package.writestr(bootstrap, f"#!/bin/sh\nexec '{ROOT}/target/debug/eks-break-glass'\n")
    aws.client("scheduler").create_schedule_group(Name="eks-break-glass")
    aws.client("lambda").create_function(
        FunctionName="eks-break-glass",
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role="arn:aws:iam::000000000000:role/function",
        Timeout=60,
        Code={"ZipFile": archive.getvalue()},
        Environment={
            "Variables": {
                "AWS_ENDPOINT_URL": aws.url,
                "SCHEDULE_GROUP": "eks-break-glass",
                "SCHEDULE_ROLE_ARN": "arn:aws:iam::000000000000:role/schedules",
            }
        },
    )


def test_the_schedule_fires_and_the_function_revokes(ministack):
    """What the function has scheduled is delivered to it as it stands; just the hour is made shorter."""
    deploy(ministack)
    principal = ministack.client("iam").get_role(RoleName="new-cluster-admin")["Role"]["Arn"]
    event = {"clusterName": "prod", "principalArn": principal, "duration": "1h"}
    answer = ministack.client("lambda").invoke(FunctionName="eks-break-glass", Payload=json.dumps(event))
    result = json.loads(answer["Payload"].read())
    assert result.get("status") == "GRANTED", result
    eks, scheduler = ministack.client("eks"), ministack.client("scheduler")
    assert eks.list_access_entries(clusterName="prod")["accessEntries"] == [principal]

    [listed] = scheduler.list_schedules(GroupName="eks-break-glass")["Schedules"]
    schedule = scheduler.get_schedule(GroupName="eks-break-glass", Name=listed["Name"])
    assert schedule["ScheduleExpression"] == f"at({result['expiresAt'].removesuffix('Z')})"
    fields = ("GroupName", "Name", "FlexibleTimeWindow", "ActionAfterCompletion", "Target")
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
    scheduler.update_schedule(
        **{field: schedule[field] for field in fields}, ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})"
    )
    for _ in range(600):
        if not eks.list_access_entries(clusterName="prod")["accessEntries"]:
            break
        time.sleep(0.1)
    assert eks.list_access_entries(clusterName="prod")["accessEntries"] == []
    for _ in range(100):
        if not scheduler.list_schedules(GroupName="eks-break-glass")["Schedules"]:
            break
        time.sleep(0.1)
    assert scheduler.list_schedules(GroupName="eks-break-glass")["Schedules"] == []


def shape(value):
    """The names in an answer, without the values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key not in ("ResponseMetadata", "tags", "nextToken")}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


def test_the_simulator_answers_in_the_same_shape_as_ministack(ministack, aws):
    answers_of = []
    for eks in (ministack.client("eks"), aws.client("eks")):
        entry = {"clusterName": "prod", "principalArn": ADMIN}
        answers_of.append(
            [
                shape(eks.create_access_entry(**entry, type="STANDARD", kubernetesGroups=["g"])),
                shape(eks.describe_access_entry(**entry)),
                shape(eks.associate_access_policy(**entry, policyArn=POLICY, accessScope={"type": "cluster"})),
                shape(eks.list_associated_access_policies(**entry)),
                shape(eks.list_access_entries(clusterName="prod")),
                shape(eks.disassociate_access_policy(**entry, policyArn=POLICY)),
                shape(eks.delete_access_entry(**entry)),
            ]
        )
    theirs, ours = answers_of
    assert ours == theirs
