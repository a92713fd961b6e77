"""MiniStack, an AWS emulator that others wrote, as a second AWS for what it can do: it knows entries and policies, but no change
of authentication mode, and refuses nothing that EKS refuses."""

import os
import socket
import subprocess
import tempfile
import time
import urllib.request

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
