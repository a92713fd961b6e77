"""MiniStack, an AWS emulator that others wrote, as a second AWS for what it can do: it knows entries and policies, but no change
of authentication mode, and refuses nothing that EKS refuses."""

import datetime
import json
import time

import pytest
from conftest import ADMIN, POLICY
from emulator import deploy, make_cluster, running
from function import invoke


@pytest.fixture
def ministack():
    with running() as aws:
        make_cluster(aws)
        yield aws


def test_a_grant_works_on_an_emulator_that_others_wrote(ministack):
    principal = ministack.client("iam").get_role(RoleName="new-cluster-admin")["Role"]["Arn"]
    event = {"clusterName": "prod", "principalArn": principal}
    # The emulator's account is not the function's.
    environment = {"AWS_ENDPOINT_URL": ministack.url, "ALLOWED_PRINCIPALS": "arn:aws:iam::*:*"}
    result = invoke(event, environment)
    assert result.get("status") == "GRANTED", result
    eks = ministack.client("eks")
    [policy] = eks.list_associated_access_policies(**{"clusterName": "prod", "principalArn": principal})["associatedAccessPolicies"]
    assert policy["policyArn"] == POLICY
    assert invoke(event, environment)["status"] == "ALREADY_GRANTED"


def test_the_schedule_fires_and_the_function_revokes(ministack):
    """What the function has scheduled is delivered to it as it stands; just the hour is made shorter."""
    ministack.client("scheduler").create_schedule_group(Name="eks-break-glass")
    schedules = {"SCHEDULE_GROUP": "eks-break-glass", "SCHEDULE_ROLE_ARN": "arn:aws:iam::000000000000:role/schedules"}
    deploy(ministack, {"AWS_ENDPOINT_URL": ministack.url} | schedules)
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
    assert schedule["Target"]["Arn"].endswith(":function:eks-break-glass:revoke")
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
