"""The fences that IAM puts up, by a policy evaluator that others wrote: of the roles, of who may call, and of the examples."""

import json

import pytest
from cloudformation import ACCOUNT, REGION, ROOT, TARGET, TEMPLATE, parameters, resolve, role_policies
from simulation import allowed, decision, is_allowed

CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/"
ENTRY = f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
SCHEDULE = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/"
SCHEDULE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-break-glass-schedule-role"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:eks-break-glass-undelivered"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:eks-break-glass"
RUNBOOK = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:eks-break-glass-recover"
EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:eks-break-glass-recover:1"
SSO = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_BreakGlass_0f1e2d3c4b5a6978"
OTHER = f"arn:aws:iam::{ACCOUNT}:role/admin"
FENCED = {
    "AllowedClusters": "dev-*,payments",
    "AllowedPrincipals": f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_BreakGlass_*",
}
OURS = {"aws:ResourceTag/eks-break-glass:made-by": "eks-break-glass 0.1.0"}
ROLES = pytest.mark.parametrize(("template", "role"), [(TEMPLATE, "FunctionRole"), (TARGET, "TargetRole")], ids=["own", "target"])
# The parameter of the templates for each setting that both the guard and the roles enforce.
PARAMETERS = {"ALLOWED_CLUSTERS": "AllowedClusters", "ALLOWED_PRINCIPALS": "AllowedPrincipals", "ALLOWED_POLICIES": "AllowedPolicies"}


def create(principal=SSO, kind="STANDARD"):
    return {"eks:principalArn": principal, "eks:accessEntryType": kind}


def associate(policy="AmazonEKSClusterAdminPolicy", principal=SSO):
    return {"eks:principalArn": principal, "eks:policyArn": POLICY + policy}


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
    (True, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(OTHER) | OURS),
    (False, "eks:DeleteAccessEntry", ENTRY + "prod/role/x/y/z", create(OTHER) | OURS),
    (False, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(kind="EC2_LINUX") | OURS),
    (True, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate()),
    (True, "eks:AssociateAccessPolicy", ENTRY + "payments/role/x/y/z", associate("AmazonEKSViewPolicy")),
    (False, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate("AmazonEKSAutoNodePolicy")),
    (False, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate(principal=OTHER)),
    (False, "eks:AssociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate()),
    (True, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate()),
    (True, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate(principal=OTHER)),
    (False, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate("AmazonEKSAutoNodePolicy")),
    (False, "eks:DisassociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate()),
    (True, "eks:TagResource", ENTRY + "dev-1/role/x/y/z", {}),
    (True, "eks:TagResource", ENTRY + "dev-1/role/x/y/z", create()),
    (False, "eks:TagResource", ENTRY + "dev-1/role/x/y/z", create(OTHER)),
    (False, "eks:TagResource", CLUSTER + "dev-1", {}),
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
    (False, "lambda:InvokeFunction", FUNCTION, {}),
    (False, "logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/eks-break-glass", {}),
    (False, "sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:eks-break-glass-announcements", {}),
]


@ROLES
@pytest.mark.parametrize(("expected", "action", "resource", "context"), EKS_AND_IAM)
def test_what_the_roles_may_do_to_clusters(template, role, expected, action, resource, context):
    assert is_allowed(role_policies(template, role, **FENCED), action, resource, context) is expected


@pytest.mark.parametrize(("expected", "action", "resource", "context"), AROUND_THE_FUNCTION)
def test_what_the_functions_role_may_do_besides(expected, action, resource, context):
    assert allowed(action, resource, context, **FENCED) is expected


GUARDRAILS = json.loads((ROOT / "tests/fixtures/guardrails.json").read_text())


@ROLES
@pytest.mark.parametrize("row", GUARDRAILS, ids=lambda row: f"{row['setting']}-{row['allowed']}")
def test_what_the_guard_forbids_iam_forbids_too(template, role, row):
    """The same table, read by `tests/suite/fences.rs`, is what the guard says."""
    principal = row.get("principalArn", f"arn:aws:iam::{ACCOUNT}:role/new-cluster-admin")
    cluster, policy = row.get("clusterName", "prod"), row.get("policyArn", "AmazonEKSClusterAdminPolicy")
    # What may be restored goes beyond what may be granted; here it does not.
    policies = role_policies(template, role, **{PARAMETERS[row["setting"]]: row["value"], "RestorablePolicies": "None"})
    created = is_allowed(policies, "eks:CreateAccessEntry", CLUSTER + cluster, create(principal))
    associated = is_allowed(policies, "eks:AssociateAccessPolicy", ENTRY + f"{cluster}/role/x/y/z", associate(policy, principal))
    assert (created and associated) is row["allowed"]


@ROLES
def test_the_role_can_associate_what_may_be_restored_and_the_guard_alone_keeps_that_from_being_granted(template, role):
    restorable = parameters(template)["RestorablePolicies"]
    allowed_policies = {"AllowedPolicies": "AmazonEKSClusterAdminPolicy"}
    for policy in restorable:
        policies = role_policies(template, role, **allowed_policies)
        assert is_allowed(policies, "eks:AssociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate(policy))
    assert "AmazonEKSClusterAdminPolicy" not in restorable


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


def test_the_function_takes_on_nobody_unless_it_is_told_whom():
    assert not allowed("sts:AssumeRole", SSO)
    assert allowed("sts:AssumeRole", SSO, AssumablePrincipals=SSO)
    assert not allowed("sts:AssumeRole", OTHER, AssumablePrincipals=SSO)


def test_the_function_takes_on_the_target_role_and_no_other():
    there = "arn:aws:iam::444455556666:role/"
    assert not allowed("sts:AssumeRole", there + "target")
    assert allowed("sts:AssumeRole", there + "target", TargetRoleName="target")
    assert not allowed("sts:AssumeRole", there + "admin", TargetRoleName="target")


def test_the_function_announces_on_its_bus_as_itself_and_nowhere_else():
    itself = {"events:source": "eks-break-glass"}
    assert not allowed("events:PutEvents", BUS + "security", itself)
    assert allowed("events:PutEvents", BUS + "security", itself, EventBus="security")
    assert allowed("events:PutEvents", BUS + "security", itself, EventBus=BUS + "security")
    assert not allowed("events:PutEvents", BUS + "default", itself, EventBus="security")
    assert not allowed("events:PutEvents", BUS + "default", itself, EventBus="")
    assert not allowed("events:PutEvents", BUS + "security", {"events:source": "aws.ec2"}, EventBus="security")


def operator(**given):
    return [resolve(TEMPLATE["Resources"]["OperatorPolicy"]["Properties"]["PolicyDocument"], parameters(**given))]


@pytest.mark.parametrize(
    ("expected", "action", "resource"),
    [
        (True, "lambda:InvokeFunction", FUNCTION),
        (True, "states:StartExecution", RUNBOOK),
        (True, "states:DescribeExecution", EXECUTION),
        (False, "lambda:InvokeFunction", FUNCTION + "-2"),
        (False, "lambda:UpdateFunctionCode", FUNCTION),
        (False, "lambda:UpdateFunctionConfiguration", FUNCTION),
        (False, "lambda:AddPermission", FUNCTION),
        (False, "states:StartExecution", RUNBOOK + "-2"),
        (False, "states:UpdateStateMachine", RUNBOOK),
        (False, "states:SendTaskSuccess", RUNBOOK),
        (False, "states:DescribeExecution", EXECUTION.replace("-recover", "-recover-2")),
        (False, "eks:CreateAccessEntry", CLUSTER + "prod"),
        (False, "scheduler:DeleteSchedule", SCHEDULE + "eks-break-glass/prod-1"),
        (False, "sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/function-role"),
        (False, "events:PutEvents", BUS + "default"),
        (False, "sqs:PurgeQueue", QUEUE),
    ],
)
def test_operators_call_the_function_and_start_the_runbook_and_nothing_else(expected, action, resource):
    assert is_allowed(operator(), action, resource) is expected


def test_where_approval_is_required_operators_cannot_go_round_it():
    with_approval = operator(RequireApproval="true")
    assert not is_allowed(with_approval, "lambda:InvokeFunction", FUNCTION)
    assert is_allowed(with_approval, "states:StartExecution", RUNBOOK)


def example(name):
    return json.loads((ROOT / f"policies/{name}.json").read_text())


@pytest.mark.parametrize(
    ("expected", "context"),
    [
        (True, {"aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "600", "aws:SourceIp": "192.0.2.7"}),
        (False, {"aws:MultiFactorAuthPresent": "false", "aws:MultiFactorAuthAge": "600", "aws:SourceIp": "192.0.2.7"}),
        (False, {"aws:SourceIp": "192.0.2.7"}),
        (False, {"aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "7200", "aws:SourceIp": "192.0.2.7"}),
        (False, {"aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "600", "aws:SourceIp": "198.51.100.7"}),
    ],
)
def test_the_example_for_operators_asks_for_mfa_and_a_source(expected, context):
    policies = [example("operator-with-conditions")]
    assert is_allowed(policies, "lambda:InvokeFunction", FUNCTION, context) is expected
    assert is_allowed(policies, "states:StartExecution", RUNBOOK, context) is expected


def test_the_example_for_operators_is_the_policy_of_the_template_with_conditions():
    def bare(document):
        return [(statement["Effect"], statement["Action"], statement["Resource"]) for statement in document["Statement"]]

    assert bare(example("operator-with-conditions")) == bare(operator()[0])


@pytest.mark.parametrize(("action", "resource", "context"), [call for allowed, *call in EKS_AND_IAM + AROUND_THE_FUNCTION if allowed])
def test_the_example_of_a_boundary_leaves_the_role_all_that_it_may_do(action, resource, context):
    policies = role_policies(TEMPLATE, "FunctionRole", **FENCED)
    assert is_allowed(policies, action, resource, context, boundary=example("permissions-boundary"))


def test_the_example_of_a_boundary_leaves_the_other_roles_all_that_they_may_do():
    given = {
        "FleetListsBucket": "eks-break-glass-lists",
        "SlackSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:eks-break-glass-chat-AbCdEf",
    }
    values = parameters(**given)
    announcements, results, fleet = values["Announcements"], values["FleetResults.Arn"], values["FleetStateMachine"]
    for role, action, resource in (
        ("ScheduleRole", "lambda:InvokeFunction", FUNCTION),
        ("ScheduleRole", "sqs:SendMessage", QUEUE),
        ("RunbookRole", "lambda:InvokeFunction", FUNCTION),
        ("RunbookRole", "sns:Publish", announcements),
        ("FleetRole", "lambda:InvokeFunction", FUNCTION),
        ("FleetRole", "sns:Publish", announcements),
        ("FleetRole", "states:StartExecution", fleet),
        ("FleetRole", "states:DescribeExecution", fleet.replace(":stateMachine:", ":execution:") + "/run:1"),
        ("FleetRole", "states:StopExecution", fleet.replace(":stateMachine:", ":execution:") + ":1"),
        ("FleetRole", "s3:ListBucket", results),
        *(("FleetRole", f"s3:{action}", f"{results}/1") for action in ("PutObject", "GetObject", "ListMultipartUploadParts", "AbortMultipartUpload")),
        ("FleetRole", "s3:GetObject", "arn:aws:s3:::eks-break-glass-lists/fleets/clusters.csv"),
        *(("ChatFunctionRole", f"states:{action}", RUNBOOK) for action in ("StartExecution", "SendTaskSuccess", "SendTaskFailure")),
        ("ChatFunctionRole", "secretsmanager:GetSecretValue", given["SlackSecretArn"]),
    ):
        assert is_allowed(role_policies(TEMPLATE, role, **given), action, resource, boundary=example("permissions-boundary")), (role, action)
    watching = [resolve(TEMPLATE["Resources"]["ChatMayLookAtAlarms"]["Properties"]["PolicyDocument"], values)]
    for action in watching[0]["Statement"][0]["Action"]:
        assert is_allowed(watching, action, "*", boundary=example("permissions-boundary"))
    for service in ("sns", "s3", "secretsmanager"):
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            by_way = {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"}
            assert is_allowed(ADMINISTRATOR, action, KEY, by_way, boundary=example("permissions-boundary")), "as the key's policy may allow"


KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
ADMINISTRATOR = [{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}]


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("eks:DeleteCluster", CLUSTER + "prod", {}),
        ("eks:UpdateClusterConfig", CLUSTER + "prod", mode("API")),
        ("eks:UpdateClusterConfig", CLUSTER + "prod", {}),
        ("eks:CreateAccessEntry", CLUSTER + "prod", create(kind="EC2_LINUX")),
        ("eks:UpdateAccessEntry", ENTRY + "prod/role/x/y/z", {}),
        ("iam:CreateRole", OTHER, {}),
        ("iam:PutRolePolicy", OTHER, {}),
        ("iam:PassRole", OTHER, {"iam:PassedToService": "lambda.amazonaws.com"}),
        ("iam:DeleteRolePermissionsBoundary", f"arn:aws:iam::{ACCOUNT}:role/function-role", {}),
        ("iam:PassRole", OTHER, {"iam:PassedToService": "scheduler.amazonaws.com"}),
        ("scheduler:CreateSchedule", SCHEDULE + "payroll/1", {}),
        ("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:payroll", {}),
        ("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:payroll", {}),
        ("sts:AssumeRole", OTHER, {}),
        ("lambda:UpdateFunctionCode", FUNCTION, {}),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:payroll", {}),
        ("s3:GetObject", "arn:aws:s3:::secrets/x", {}),
        ("kms:Decrypt", KEY, {}),
        ("kms:Decrypt", KEY, {"kms:ViaService": f"ec2.{REGION}.amazonaws.com"}),
        ("kms:ScheduleKeyDeletion", KEY, {"kms:ViaService": f"sns.{REGION}.amazonaws.com"}),
        ("ec2:RunInstances", "*", {}),
    ],
)
def test_the_example_of_a_boundary_holds_a_role_that_somebody_has_made_administrator(action, resource, context):
    assert is_allowed(ADMINISTRATOR, action, resource, context)
    assert not is_allowed(ADMINISTRATOR, action, resource, context, boundary=example("permissions-boundary"))


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


def test_the_evaluator_knows_an_explicit_no():
    """Or a table of refusals would prove little."""
    no = [{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "eks:*", "Resource": "*"}]}]
    assert decision(ADMINISTRATOR + no, "eks:DeleteCluster", CLUSTER + "prod") == "Deny"
    assert decision(no, "iam:GetRole", OTHER) == "ImplicitDeny"
    assert decision(ADMINISTRATOR, "eks:DeleteCluster", CLUSTER + "prod") == "Allow"
