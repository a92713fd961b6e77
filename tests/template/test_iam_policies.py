"""What IAM allows and denies, evaluated by a policy evaluator that others wrote: the roles, the callers, and the example policies."""

import json
import re

import pytest
from cloudformation import ACCOUNT, REGION, ROOT, TARGET, TEMPLATE, parameters, resolve, role_policies
from simulation import allowed, is_allowed

CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/"
ENTRY = f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/"
NODEGROUP = f"arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/"
FARGATE_PROFILE = f"arn:aws:eks:{REGION}:{ACCOUNT}:fargateprofile/"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
SCHEDULE = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/"
SCHEDULE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-break-glass-schedule-role"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:eks-break-glass-undelivered"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:eks-break-glass"
APPROVED, REVOKE = f"{FUNCTION}:approved", f"{FUNCTION}:revoke"
RUNBOOK = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:eks-break-glass-recover"
EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:eks-break-glass-recover:1"
SSO = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_BreakGlass_0f1e2d3c4b5a6978"
OTHER = f"arn:aws:iam::{ACCOUNT}:role/admin"
RESTRICTED = {
    "AllowedClusters": "dev-*,payments",
    "AllowedPrincipals": f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_BreakGlass_*",
    "AllowedPolicies": "AmazonEKSClusterAdminPolicy,AmazonEKSViewPolicy",
    "AllowedGroups": "dev-*,auditors,user:ci-*",
}
OURS = {"aws:ResourceTag/eks-break-glass:function": FUNCTION}
# An entry of another installation: the same program, another function.
THEIRS = {"aws:ResourceTag/eks-break-glass:function": FUNCTION + "-2", "aws:ResourceTag/eks-break-glass:made-by": "eks-break-glass 0.1.0"}
ROLES = pytest.mark.parametrize(("template", "role"), [(TEMPLATE, "FunctionRole"), (TARGET, "TargetRole")], ids=["own", "target"])
# The parameter of the templates for each setting that both the guardrails and the roles enforce.
PARAMETERS = {"ALLOWED_CLUSTERS": "AllowedClusters", "ALLOWED_PRINCIPALS": "AllowedPrincipals", "ALLOWED_POLICIES": "AllowedPolicies"}


def create(principal=SSO, kind="STANDARD"):
    return {"eks:principalArn": principal, "eks:accessEntryType": kind}


def associate(policy="AmazonEKSClusterAdminPolicy", principal=SSO):
    return {"eks:principalArn": principal, "eks:policyArn": POLICY + policy}


def entry_of(principal, **keys):
    """The request for an entry with a username or groups. Several groups are a list."""
    return create(principal) | {f"eks:{name}": value for name, value in keys.items()}


def mode(value):
    return {"eks:authenticationMode": value}


# What both roles may do: that of the function, and the one in another account.
EKS_AND_IAM = [
    (True, "eks:DescribeCluster", CLUSTER + "dev-1", {}),
    (True, "eks:DescribeCluster", CLUSTER + "payments", {}),
    (False, "eks:DescribeCluster", CLUSTER + "payments-2", {}),
    (False, "eks:DescribeCluster", CLUSTER + "prod", {}),
    (True, "eks:DescribeUpdate", CLUSTER + "dev-1", {}),
    (True, "eks:ListAccessEntries", CLUSTER + "dev-1", {}),
    (True, "eks:DescribeAccessEntry", ENTRY + "dev-1/role/x/y/z", {}),
    (False, "eks:DescribeAccessEntry", ENTRY + "prod/role/x/y/z", {}),
    (True, "eks:ListAssociatedAccessPolicies", ENTRY + "dev-1/role/x/y/z", {}),
    (False, "eks:ListAssociatedAccessPolicies", ENTRY + "prod/role/x/y/z", {}),
    (True, "eks:UpdateClusterConfig", CLUSTER + "dev-1", mode("API_AND_CONFIG_MAP")),
    (False, "eks:UpdateClusterConfig", CLUSTER + "dev-1", mode("API")),
    (False, "eks:UpdateClusterConfig", CLUSTER + "dev-1", {"eks:endpointPublicAccess": "true"}),
    (False, "eks:UpdateClusterConfig", CLUSTER + "dev-1", {}),
    (False, "eks:UpdateClusterConfig", CLUSTER + "prod", mode("API_AND_CONFIG_MAP")),
    (True, "eks:CreateAccessEntry", CLUSTER + "dev-1", create()),
    (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", create(OTHER)),
    (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", create(kind="EC2_LINUX")),
    (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", {"eks:principalArn": SSO}),
    (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", {"eks:accessEntryType": "STANDARD"}),
    (False, "eks:CreateAccessEntry", CLUSTER + "prod", create()),
    (True, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create()),
    (False, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(OTHER)),
    (False, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(kind="EC2_LINUX")),
    (True, "eks:CreateAccessEntry", CLUSTER + "dev-1", entry_of(SSO, kubernetesGroups="", username="")),
    (True, "eks:CreateAccessEntry", CLUSTER + "dev-1", entry_of(SSO, kubernetesGroups=["dev-1", "auditors"])),
    (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", entry_of(SSO, kubernetesGroups=["dev-1", "platform-admins"])),
    (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", entry_of(SSO, kubernetesGroups="platform-admins")),
    (True, "eks:CreateAccessEntry", CLUSTER + "dev-1", entry_of(SSO, username="ci-deployer")),
    (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", entry_of(SSO, username="jane")),
    (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", entry_of(SSO, username="user:ci-deployer")),
    (True, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(OTHER) | OURS),
    (False, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(OTHER) | THEIRS),
    (False, "eks:DeleteAccessEntry", ENTRY + "prod/role/x/y/z", create(OTHER) | OURS),
    (False, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(kind="EC2_LINUX") | OURS),
    (True, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate()),
    (True, "eks:AssociateAccessPolicy", ENTRY + "payments/role/x/y/z", associate("AmazonEKSViewPolicy")),
    (False, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate("AmazonEKSAdminPolicy")),
    (False, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate("AmazonEKSAutoNodePolicy")),
    (False, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate(principal=OTHER)),
    (False, "eks:AssociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate()),
    (True, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate()),
    (False, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate(principal=OTHER)),
    (False, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate(principal=OTHER) | THEIRS),
    (True, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate(principal=OTHER) | OURS),
    (True, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate("AmazonEKSEditPolicy", OTHER) | OURS),
    (False, "eks:DisassociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate(principal=OTHER) | OURS),
    (False, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate("AmazonEKSAutoNodePolicy")),
    (False, "eks:DisassociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate()),
    (True, "eks:TagResource", ENTRY + "dev-1/role/x/y/z", {}),
    (True, "eks:TagResource", ENTRY + "dev-1/role/x/y/z", create()),
    (False, "eks:TagResource", ENTRY + "dev-1/role/x/y/z", create(OTHER)),
    (False, "eks:TagResource", CLUSTER + "dev-1", {}),
    (True, "eks:ListClusters", "*", {}),
    (True, "eks:ListNodegroups", CLUSTER + "dev-1", {}),
    (False, "eks:ListNodegroups", CLUSTER + "prod", {}),
    (True, "eks:DescribeNodegroup", NODEGROUP + "dev-1/workers/8ac9", {}),
    (False, "eks:DescribeNodegroup", NODEGROUP + "prod/workers/8ac9", {}),
    (True, "eks:ListFargateProfiles", CLUSTER + "payments", {}),
    (False, "eks:ListFargateProfiles", CLUSTER + "prod", {}),
    (True, "eks:DescribeFargateProfile", FARGATE_PROFILE + "payments/jobs/8ac9", {}),
    (False, "eks:DescribeFargateProfile", FARGATE_PROFILE + "prod/jobs/8ac9", {}),
    (False, "eks:DeleteNodegroup", NODEGROUP + "dev-1/workers/8ac9", {}),
    (False, "eks:UpdateAccessEntry", ENTRY + "dev-1/role/x/y/z", create()),
    (False, "eks:DeleteCluster", CLUSTER + "dev-1", {}),
    (False, "eks:CreateCluster", CLUSTER + "dev-1", {}),
    (True, "iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/x", {}),
    (True, "iam:GetUser", f"arn:aws:iam::{ACCOUNT}:user/x", {}),
    (False, "iam:GetRole", "arn:aws:iam::999999999999:role/x", {}),
    (True, "iam:ListRoles", f"arn:aws:iam::{ACCOUNT}:role/", {}),
    (True, "iam:ListUsers", f"arn:aws:iam::{ACCOUNT}:user/", {}),
    (False, "iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/x", {}),
    (False, "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/x", {}),
    (False, "sts:AssumeRole", "arn:aws:iam::999999999999:role/x", {}),
]

# What the function's role alone may do.
AROUND_THE_FUNCTION = [
    (True, "scheduler:CreateSchedule", SCHEDULE + "eks-break-glass/prod-1", {}),
    (True, "scheduler:GetSchedule", SCHEDULE + "eks-break-glass/prod-1", {}),
    (True, "scheduler:UpdateSchedule", SCHEDULE + "eks-break-glass/prod-1", {}),
    (True, "scheduler:DeleteSchedule", SCHEDULE + "eks-break-glass/prod-1", {}),
    (True, "scheduler:ListSchedules", SCHEDULE + "*/*", {}),
    (False, "scheduler:CreateSchedule", SCHEDULE + "default/prod-1", {}),
    (False, "scheduler:GetSchedule", SCHEDULE + "default/prod-1", {}),
    (False, "scheduler:DeleteSchedule", SCHEDULE + "default/prod-1", {}),
    (False, "scheduler:UpdateSchedule", SCHEDULE + "eks-break-glass-2/prod-1", {}),
    (False, "scheduler:DeleteScheduleGroup", SCHEDULE.replace("schedule/", "schedule-group/") + "eks-break-glass", {}),
    (False, "scheduler:CreateSchedule", SCHEDULE.replace(REGION, "eu-central-1") + "eks-break-glass/prod-1", {}),
    (False, "scheduler:CreateSchedule", SCHEDULE.replace(ACCOUNT, "999999999999") + "eks-break-glass/prod-1", {}),
    (True, "iam:PassRole", SCHEDULE_ROLE, {"iam:PassedToService": "scheduler.amazonaws.com"}),
    (False, "iam:PassRole", SCHEDULE_ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
    (False, "iam:PassRole", SCHEDULE_ROLE, {}),
    (False, "iam:PassRole", OTHER, {"iam:PassedToService": "scheduler.amazonaws.com"}),
    (True, "sqs:SendMessage", QUEUE, {}),
    (False, "sqs:SendMessage", QUEUE + "-2", {}),
    (False, "sqs:ReceiveMessage", QUEUE, {}),
    (True, "events:PutEvents", BUS + "default", {"events:source": "eks-break-glass"}),
    (False, "events:PutEvents", BUS + "default", {"events:source": "aws.ec2"}),
    (False, "events:PutEvents", BUS + "default", {}),
    (False, "events:PutEvents", BUS + "other", {"events:source": "eks-break-glass"}),
    (False, "lambda:UpdateFunctionConfiguration", FUNCTION, {}),
    *((False, "lambda:InvokeFunction", function, {}) for function in (FUNCTION, APPROVED, REVOKE)),
    (False, "logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/eks-break-glass", {}),
    (False, "sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:eks-break-glass-announcements", {}),
]


@ROLES
@pytest.mark.parametrize(("expected", "action", "resource", "context"), EKS_AND_IAM)
def test_what_the_roles_may_do_to_clusters(template, role, expected, action, resource, context):
    assert is_allowed(role_policies(template, role, **RESTRICTED), action, resource, context) is expected


@pytest.mark.parametrize(("expected", "action", "resource", "context"), AROUND_THE_FUNCTION)
def test_what_the_functions_role_may_do_besides(expected, action, resource, context):
    assert allowed(action, resource, context, **RESTRICTED) is expected


GUARDRAILS = json.loads((ROOT / "tests/fixtures/guardrails.json").read_text())


@ROLES
@pytest.mark.parametrize("row", GUARDRAILS, ids=lambda row: f"{row['setting']}-{row['allowed']}")
def test_iam_allows_exactly_what_the_guardrails_allow(template, role, row):
    """The Rust suite reads the same table for the guardrails of the function."""
    principal = row.get("principalArn", f"arn:aws:iam::{ACCOUNT}:role/new-cluster-admin")
    cluster, policy = row.get("clusterName", "prod"), row.get("policyArn", "AmazonEKSClusterAdminPolicy")
    policies = role_policies(template, role, **{PARAMETERS[row["setting"]]: row["value"]})
    created = is_allowed(policies, "eks:CreateAccessEntry", CLUSTER + cluster, create(principal))
    associated = is_allowed(policies, "eks:AssociateAccessPolicy", ENTRY + f"{cluster}/role/x/y/z", associate(policy, principal))
    assert (created and associated) is row["allowed"]


@pytest.mark.parametrize("template", [TEMPLATE, TARGET], ids=["own", "target"])
@pytest.mark.parametrize("row", GUARDRAILS, ids=lambda row: f"{row['setting']}-{row['allowed']}")
def test_the_parameters_take_every_value_of_the_table(template, row):
    pattern = template["Parameters"][PARAMETERS[row["setting"]]].get("AllowedPattern", ".*")
    assert all(re.fullmatch(pattern, value) for value in row["value"].split(","))


@pytest.mark.parametrize("value", ["*", "role/admin", "arn:aws:iam::111122223333", "arn:aws:sts::111122223333:assumed-role/a/b", "arn:aws:iam::1:role/${x}"])
def test_patterns_of_principals_have_the_six_fields_of_an_arn_of_iam(value):
    """ArnLike compares field by field. What it makes of a value without fields is not documented."""
    assert not re.fullmatch(TEMPLATE["Parameters"]["AllowedPrincipals"]["AllowedPattern"], value)


@ROLES
def test_by_default_only_principals_of_the_roles_own_account_are_allowed(template, role):
    policies = role_policies(template, role)
    user, foreign = f"arn:aws:iam::{ACCOUNT}:user/jane", "arn:aws:iam::999999999999:role/admin"
    for principal, expected in {OTHER: True, SSO: True, user: True, foreign: False}.items():
        assert is_allowed(policies, "eks:CreateAccessEntry", CLUSTER + "prod", create(principal)) is expected
        for action in ("Associate", "Disassociate"):
            policy = associate(principal=principal)
            assert is_allowed(policies, f"eks:{action}AccessPolicy", ENTRY + "prod/role/x/y/z", policy) is expected
        for action in ("DeleteAccessEntry", "TagResource"):
            assert is_allowed(policies, f"eks:{action}", ENTRY + "prod/role/x/y/z", create(principal)) is expected


@ROLES
def test_by_default_an_entry_has_no_groups_and_no_custom_username(template, role):
    policies = role_policies(template, role)
    for keys, expected in (
        ({}, True),
        ({"kubernetesGroups": ""}, True),
        ({"kubernetesGroups": ["viewers"]}, False),
        ({"username": ""}, True),
        ({"username": "jane"}, False),
    ):
        assert is_allowed(policies, "eks:CreateAccessEntry", CLUSTER + "prod", entry_of(OTHER, **keys)) is expected, keys


@ROLES
def test_no_policy_can_be_associated_beyond_those_that_can_be_granted(template, role):
    assert "RestorablePolicies" not in template["Parameters"]
    policies = role_policies(template, role)
    for policy in ("Admin", "AdminView", "Edit", "View", "SecretReader", "SecretAdmin"):
        assert not is_allowed(policies, "eks:AssociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate(f"AmazonEKS{policy}Policy"))


@ROLES
def test_without_leave_to_change_the_mode_the_role_cannot_either(template, role):
    call = "eks:UpdateClusterConfig", CLUSTER + "prod", mode("API_AND_CONFIG_MAP")
    assert is_allowed(role_policies(template, role), *call)
    assert not is_allowed(role_policies(template, role, AllowAuthenticationModeChange="false"), *call)


def test_two_functions_in_one_account_do_not_share_schedules():
    other = {"FunctionName": "team-a-break-glass"}
    function = resolve(TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"], parameters(**other))
    assert function["FunctionName"] == function["Environment"]["Variables"]["SCHEDULE_GROUP"] == "team-a-break-glass"
    assert allowed("scheduler:CreateSchedule", SCHEDULE + "team-a-break-glass/prod-1", **other)
    assert not allowed("scheduler:CreateSchedule", SCHEDULE + "eks-break-glass/prod-1", **other)


def test_the_function_assumes_no_principal_unless_a_parameter_names_it():
    assert not allowed("sts:AssumeRole", SSO)
    assert allowed("sts:AssumeRole", SSO, AssumablePrincipals=SSO)
    assert not allowed("sts:AssumeRole", OTHER, AssumablePrincipals=SSO)


def test_the_function_assumes_the_target_role_of_allowed_accounts_and_no_other():
    there, further, elsewhere = (f"arn:aws:iam::{account}:role/" for account in ("444455556666", "777788889999", "999999999999"))
    two = {"TargetRoleName": "target", "AllowedAccounts": "444455556666,777788889999"}
    assert allowed("sts:AssumeRole", there + "target", **two) and allowed("sts:AssumeRole", further + "target", **two)
    assert not allowed("sts:AssumeRole", elsewhere + "target", **two)
    assert not allowed("sts:AssumeRole", there + "admin", **two)
    assert not allowed("sts:AssumeRole", there + "path/target", **two)
    for given in ({}, {"TargetRoleName": "target"}, {"AllowedAccounts": "444455556666"}):
        assert not allowed("sts:AssumeRole", there + "target", **given), given
    with_principals = two | {"AssumablePrincipals": f"{SSO},{there}team/*"}
    assert allowed("sts:AssumeRole", SSO, **with_principals) and allowed("sts:AssumeRole", there + "team/x", **with_principals)
    assert allowed("sts:AssumeRole", there + "target", **with_principals)
    assert not allowed("sts:AssumeRole", there + "admin", **with_principals)


def test_the_permission_to_assume_the_target_role_names_every_account():
    statements = resolve(
        TEMPLATE["Resources"]["AssumeTargetRole"]["Properties"]["PolicyDocument"]["Statement"],
        parameters(TargetRoleName="target", AllowedAccounts="444455556666,777788889999"),
    )
    [allow] = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allow["Resource"] == ["arn:*:iam::444455556666:role/*", "arn:*:iam::777788889999:role/*"]
    pattern = TEMPLATE["Parameters"]["AllowedAccounts"]["AllowedPattern"]
    assert re.fullmatch(pattern, "444455556666") and not re.fullmatch(pattern, "*")


def test_the_function_announces_on_its_bus_as_itself_and_nowhere_else():
    itself = {"events:source": "eks-break-glass"}
    assert not allowed("events:PutEvents", BUS + "security", itself)
    assert allowed("events:PutEvents", BUS + "security", itself, EventBus="security")
    assert allowed("events:PutEvents", BUS + "security", itself, EventBus=BUS + "security")
    assert not allowed("events:PutEvents", BUS + "default", itself, EventBus="security")
    assert not allowed("events:PutEvents", BUS + "default", itself, EventBus="")
    assert not allowed("events:PutEvents", BUS + "security", {"events:source": "aws.ec2"}, EventBus="security")


def listed(value):
    return value if isinstance(value, list) else [value]


def test_every_role_of_the_stack_is_bounded_where_a_boundary_is_given():
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    roles = [resource["Properties"] for resource in TEMPLATE["Resources"].values() if resource["Type"] == "AWS::IAM::Role"]
    assert roles
    for role in roles:
        assert "PermissionsBoundary" not in resolve(role, parameters())
        assert resolve(role, parameters(PermissionsBoundaryArn=boundary))["PermissionsBoundary"] == boundary


def test_a_role_of_another_account_may_invoke_the_function_only_where_it_is_named():
    resource = TEMPLATE["Resources"]["InvokeFromElsewhere"]
    assert resource["Condition"] == "InvokedFromElsewhere"
    assert not resolve({"Condition": "InvokedFromElsewhere"}, parameters())
    caller = "arn:aws:iam::444455556666:role/on-call"
    permission = resolve(resource["Properties"], parameters(InvokerArn=caller))
    assert permission == {"FunctionName": FUNCTION, "Action": "lambda:InvokeFunction", "Principal": caller}
    assert "*" not in TEMPLATE["Parameters"]["InvokerArn"]["AllowedPattern"].replace("[^*?]", "")


def test_no_wildcard_of_a_principal_crosses_a_field_of_the_arn():
    """A path can hold a colon."""
    crossing = f"arn:aws:iam::{ACCOUNT}:role/x:role/on-call"
    for operator, expected in (("StringLike", True), ("ArnLike", False)):
        condition = {operator: {"eks:principalArn": "arn:aws:iam::*:role/on-call"}}
        policies = [{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}]}]
        assert is_allowed(policies, "eks:CreateAccessEntry", CLUSTER + "prod", create(crossing)) is expected
