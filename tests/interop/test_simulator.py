"""The simulator's wire format: clients that others wrote build every request, and their models read every answer."""

import json
import urllib.request

import botocore.exceptions
import pytest

from conftest import ADMIN, POLICY


def refused(call, code, message):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call()
    assert error.value.response["Error"]["Code"] == code
    assert message in error.value.response["Error"]["Message"]


def test_every_operation_on_entries_is_understood_by_boto3(aws):
    eks = aws.client("eks")
    entry = {"clusterName": "prod", "principalArn": ADMIN}
    made = eks.create_access_entry(**entry, type="STANDARD", kubernetesGroups=["g"], tags={"a": "b"})["accessEntry"]
    assert made["username"] == "arn:aws:sts::111122223333:assumed-role/new-cluster-admin/{{SessionName}}"
    arn = made["accessEntryArn"]
    assert arn.startswith("arn:aws:eks:eu-west-1:111122223333:access-entry/prod/role/111122223333/new-cluster-admin/")
    associated = eks.associate_access_policy(**entry, policyArn=POLICY, accessScope={"type": "cluster"})
    assert associated["associatedAccessPolicy"]["accessScope"] == {"type": "cluster", "namespaces": []}
    listed = eks.list_associated_access_policies(**entry)["associatedAccessPolicies"]
    assert [policy["policyArn"] for policy in listed] == [POLICY]
    assert eks.update_access_entry(**entry, kubernetesGroups=["h"])["accessEntry"]["kubernetesGroups"] == ["h"]
    assert eks.list_access_entries(clusterName="prod", associatedPolicyArn=POLICY)["accessEntries"] == [ADMIN]
    eks.tag_resource(resourceArn=arn, tags={"c": "d"})
    eks.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"c": "d"}
    described = eks.describe_access_entry(**entry)["accessEntry"]
    assert (described["type"], described["createdAt"].year) == ("STANDARD", 2026)
    eks.disassociate_access_policy(**entry, policyArn=POLICY)
    eks.delete_access_entry(**entry)
    refused(lambda: eks.describe_access_entry(**entry), "ResourceNotFoundException", "principalArn could not be found")


def test_lists_come_in_pages(aws):
    eks = aws.client("eks")
    eks.create_access_entry(clusterName="prod", principalArn=ADMIN)
    pages = eks.get_paginator("list_access_policies").paginate(PaginationConfig={"PageSize": 3})
    names = [policy["name"] for page in pages for policy in page["accessPolicies"]]
    assert "AmazonEKSClusterAdminPolicy" in names and len(names) == len(set(names)) > 6


def test_refusals_have_the_codes_and_words_of_aws(aws):
    eks = aws.client("eks")
    refused(lambda: eks.describe_cluster(name="nope"), "ResourceNotFoundException", "No cluster found for name: nope.")
    create = lambda arn: eks.create_access_entry(clusterName="prod", principalArn=arn)
    refused(lambda: create("arn:aws:iam::111122223333:role/nobody"), "InvalidParameterException", "invalid principal")
    refused(lambda: create("arn:aws:sts::111122223333:assumed-role/a/b"), "InvalidParameterException", "format is not valid")
    create(ADMIN)
    refused(lambda: create(ADMIN), "ResourceInUseException", "already in use on this cluster")
    wrong = lambda policy: eks.associate_access_policy(
        clusterName="prod", principalArn=ADMIN, policyArn=policy, accessScope={"type": "cluster"}
    )
    refused(lambda: wrong("arn:aws:iam::aws:policy/AdministratorAccess"), "InvalidParameterException", "format is not valid")
    refused(lambda: wrong(POLICY + "X"), "ResourceNotFoundException", "policyArn could not be found")


def test_the_mode_goes_one_way_and_is_followed(config_map_aws):
    eks = config_map_aws.client("eks")
    entries = lambda: eks.list_access_entries(clusterName="prod")
    refused(entries, "InvalidRequestException", "authentication mode must be set to one of")
    change = lambda mode: eks.update_cluster_config(name="prod", accessConfig={"authenticationMode": mode})
    refused(lambda: change("API"), "InvalidParameterException", "from CONFIG_MAP to API")
    update = change("API_AND_CONFIG_MAP")["update"]
    assert eks.describe_update(name="prod", updateId=update["id"])["update"]["type"] == "AccessConfigUpdate"
    assert eks.list_updates(name="prod")["updateIds"] == [update["id"]]
    assert entries()["accessEntries"] == []
    refused(lambda: change("API_AND_CONFIG_MAP"), "InvalidParameterException", "Unsupported authentication mode update")
    refused(lambda: change("CONFIG_MAP"), "InvalidParameterException", "Unsupported authentication mode update")


def test_sts_and_iam_are_understood(aws):
    assert aws.client("sts").get_caller_identity()["Account"] == "111122223333"
    role = aws.client("iam").get_role(RoleName="new-cluster-admin")["Role"]
    assert role["Arn"] == ADMIN
    refused(lambda: aws.client("iam").get_user(UserName="nobody"), "NoSuchEntity", "The user with name nobody cannot be found.")


def test_the_articles_commands_work_as_they_are_written(config_map_aws):
    cli = config_map_aws.cli
    role = "arn:aws:iam::111122223333:role/new-cluster-admin"
    assert cli("sts", "get-caller-identity")["Account"] == "111122223333"
    described = cli("eks", "describe-cluster", "--name", "prod")
    assert described["cluster"]["accessConfig"]["authenticationMode"] == "CONFIG_MAP"
    denied = cli("eks", "create-access-entry", "--cluster-name", "prod", "--principal-arn", role, check=False)
    assert "authentication mode must be set" in denied
    cli("eks", "update-cluster-config", "--name", "prod", "--access-config", "authenticationMode=API_AND_CONFIG_MAP")
    entry = ("--cluster-name", "prod", "--principal-arn", role)
    cli("eks", "create-access-entry", *entry)
    cli("eks", "associate-access-policy", *entry, "--policy-arn", POLICY, "--access-scope", "type=cluster")
    assert cli("eks", "list-associated-access-policies", *entry)["associatedAccessPolicies"][0]["policyArn"] == POLICY


def test_schedules_are_understood_by_boto3(aws):
    scheduler = aws.client("scheduler")
    schedule = {
        "GroupName": "eks-break-glass",
        "Name": "prod-1",
        "Description": "for a test",
        "ScheduleExpression": "at(2030-01-31T13:05:00)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": "arn:aws:lambda:eu-west-1:111122223333:function:f",
            "RoleArn": "arn:aws:iam::111122223333:role/r",
            "Input": "{}",
            "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:111122223333:q"},
        },
    }
    key = {"GroupName": "eks-break-glass", "Name": "prod-1"}
    arn = scheduler.create_schedule(**schedule, ClientToken="once")["ScheduleArn"]
    assert scheduler.create_schedule(**schedule, ClientToken="once")["ScheduleArn"] == arn
    assert arn == "arn:aws:scheduler:eu-west-1:111122223333:schedule/eks-break-glass/prod-1"
    refused(lambda: scheduler.create_schedule(**schedule), "ConflictException", "already exists")
    shown = scheduler.get_schedule(**key)
    assert {field: shown[field] for field in schedule} == schedule
    assert shown["State"] == "ENABLED" and shown["CreationDate"].year >= 2026
    scheduler.update_schedule(**schedule | {"ScheduleExpression": "at(2031-01-31T13:05:00)"})
    [listed] = scheduler.list_schedules(GroupName="eks-break-glass", NamePrefix="prod-")["Schedules"]
    assert listed["Arn"] == arn
    scheduler.delete_schedule(**key)
    refused(lambda: scheduler.get_schedule(**key), "ResourceNotFoundException", "does not exist")
    refused(lambda: scheduler.create_schedule(**schedule | {"GroupName": "x"}), "ResourceNotFoundException", "group x")
    wrong = schedule | {"ScheduleExpression": "at(tomorrow)"}
    refused(lambda: scheduler.create_schedule(**wrong), "ValidationException", "Invalid Schedule Expression")
    fault = json.dumps({"operation": "CreateSchedule", "kind": "denied"}).encode()
    urllib.request.urlopen(aws.url + "/_simulator/faults", fault).close()
    refused(lambda: scheduler.create_schedule(**schedule), "AccessDeniedException", "scheduler:CreateSchedule")


def test_roles_are_listed_in_pages(aws):
    pages = aws.client("iam").get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1})
    names = [role["RoleName"] for page in pages for role in page["Roles"]]
    assert "new-cluster-admin" in names and len(names) == 2 and names == sorted(names)
