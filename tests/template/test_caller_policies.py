"""What IAM allows to those who call the function, and what the example policies allow and deny."""

import json

import pytest
from cloudformation import ACCOUNT, REGION, ROOT, TEMPLATE, parameters, resolve, role_policies
from simulation import allowed, decision, is_allowed
from test_iam_policies import (
    APPROVED, AROUND_THE_FUNCTION, BUS, CLUSTER, EKS_AND_IAM, ENTRY, EXECUTION, FUNCTION, OTHER, QUEUE, RESTRICTED, REVOKE, RUNBOOK, SCHEDULE, SSO, create, listed, mode,
)


def operator(**given):
    return [resolve(TEMPLATE["Resources"]["OperatorPolicy"]["Properties"]["PolicyDocument"], parameters(**given))]


@pytest.mark.parametrize(
    ("expected", "action", "resource"),
    [
        (True, "lambda:InvokeFunction", FUNCTION),
        (True, "states:StartExecution", RUNBOOK),
        (True, "states:DescribeExecution", EXECUTION),
        (False, "lambda:InvokeFunction", FUNCTION + "-2"),
        (False, "lambda:InvokeFunction", APPROVED),
        (False, "lambda:InvokeFunction", REVOKE),
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
def test_callers_invoke_the_function_start_the_workflows_and_nothing_else(expected, action, resource):
    for approval in ("false", "true"):
        # The function itself refuses what was not approved, so that a revoke or an emergency needs no workflow.
        assert is_allowed(operator(RequireApproval=approval), action, resource) is expected


INVOKERS = {"RunbookRole": {FUNCTION, APPROVED}, "FleetRole": {FUNCTION, APPROVED}, "ScheduleRole": {REVOKE}, "FunctionRole": set(), "ChatFunctionRole": set()}


def test_of_the_stacks_roles_the_workflows_invoke_approved_and_scheduler_revoke():
    roles = {name for name, resource in TEMPLATE["Resources"].items() if resource["Type"] == "AWS::IAM::Role"}
    assert set(INVOKERS) == {role for role in roles if "Policies" in TEMPLATE["Resources"][role]["Properties"]}
    secret = {"SlackSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:eks-break-glass-chat-AbCdEf"}
    for role, expected in INVOKERS.items():
        policies = role_policies(TEMPLATE, role, **secret)
        invoked = {function for function in (FUNCTION, APPROVED, REVOKE) if is_allowed(policies, "lambda:InvokeFunction", function)}
        assert invoked == expected, role


def test_every_policy_outside_the_roles_that_invokes_the_function_leaves_the_aliases_out():
    """Managed policies and resource-based permissions: an ARN without qualifier, and no wildcard, covers no alias."""
    for name, resource in TEMPLATE["Resources"].items():
        properties = resource["Properties"]
        match resource["Type"]:
            case "AWS::Lambda::Permission":
                assert properties["FunctionName"] == {"Fn::GetAtt": "EksBreakGlassFunction.Arn"}, name
            case "AWS::IAM::ManagedPolicy":
                policies = [resolve(properties["PolicyDocument"], parameters())]
                assert not any(is_allowed(policies, "lambda:InvokeFunction", alias) for alias in (APPROVED, REVOKE)), name


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
    policies = role_policies(TEMPLATE, "FunctionRole", **RESTRICTED)
    assert is_allowed(policies, action, resource, context, boundary=example("permissions-boundary"))


def test_the_example_of_a_boundary_leaves_the_other_roles_all_that_they_may_do():
    given = {
        "FleetListsBucket": "eks-break-glass-lists",
        "SlackSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:eks-break-glass-chat-AbCdEf",
    }
    values = parameters(**given)
    announcements, results, fleet = values["Announcements"], values["FleetResults.Arn"], values["FleetStateMachine"]
    for role, action, resource in (
        ("ScheduleRole", "lambda:InvokeFunction", REVOKE),
        ("ScheduleRole", "sqs:SendMessage", QUEUE),
        ("RunbookRole", "lambda:InvokeFunction", FUNCTION),
        ("RunbookRole", "lambda:InvokeFunction", APPROVED),
        ("RunbookRole", "sns:Publish", announcements),
        ("FleetRole", "lambda:InvokeFunction", FUNCTION),
        ("FleetRole", "lambda:InvokeFunction", APPROVED),
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


STACK_ROLE = f"arn:aws:iam::{ACCOUNT}:role/eks-break-glass-{{}}-A1B2C3D4E5F6"
RECOVER_ROLE, FLEET_ROLE, SCHEDULER_ROLE = (STACK_ROLE.format(name) for name in ("RunbookRole", "FleetRole", "ScheduleRole"))
# `aws:PrincipalArn` of a session is its role's ARN, which the evaluator takes as the principal.
ADMIN_ROLES = [f"arn:aws:iam::{ACCOUNT}:role/Administrator", STACK_ROLE.format("FunctionRole"), RECOVER_ROLE + "-2", SSO]


@pytest.mark.parametrize(
    ("alias", "passes"),
    [(APPROVED, {RECOVER_ROLE, FLEET_ROLE}), (REVOKE, {SCHEDULER_ROLE})],
    ids=["approved", "revoke"],
)
def test_with_the_service_control_policy_only_workflows_and_scheduler_use_the_aliases(alias, passes):
    """Without it, every administrator of the account can, because `lambda:InvokeFunction` on `*` covers aliases."""
    policies = [*ADMINISTRATOR, example("scp-protect-aliases")]
    for principal in (RECOVER_ROLE, FLEET_ROLE, SCHEDULER_ROLE, *ADMIN_ROLES):
        assert is_allowed(ADMINISTRATOR, "lambda:InvokeFunction", alias, principal=principal)
        assert is_allowed(policies, "lambda:InvokeFunction", alias, principal=principal) is (principal in passes), principal
        # Services that a resource-based policy allows are outside service control policies, and a function URL may need no identity at all.
        for action in ("AddPermission", "CreateFunctionUrlConfig", "UpdateFunctionUrlConfig"):
            assert not is_allowed(policies, f"lambda:{action}", alias, principal=principal)


def test_the_service_control_policy_leaves_everything_else_alone():
    policies = [*ADMINISTRATOR, example("scp-protect-aliases")]
    for action, resource in (
        ("lambda:InvokeFunction", FUNCTION),
        ("lambda:InvokeFunction", FUNCTION + "-2:approved"),
        ("lambda:AddPermission", FUNCTION),
        ("lambda:UpdateAlias", APPROVED),
        ("states:StartExecution", RUNBOOK),
    ):
        assert is_allowed(policies, action, resource, principal=ADMIN_ROLES[0]), action


def test_the_roles_that_the_service_control_policy_names_are_outputs():
    names = {output["Value"]["Fn::GetAtt"] for output in TEMPLATE["Outputs"].values() if "scp-protect-aliases" in output["Description"]}
    statements = example("scp-protect-aliases")["Statement"]
    roles = [role for statement in statements if "Condition" in statement for role in listed(statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"])]
    assert names == {role.split("-")[3] + ".Arn" for role in roles}


def test_the_evaluator_knows_an_explicit_no():
    """Or a table of refusals would prove little."""
    no = [{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "eks:*", "Resource": "*"}]}]
    assert decision(ADMINISTRATOR + no, "eks:DeleteCluster", CLUSTER + "prod") == "Deny"
    assert decision(no, "iam:GetRole", OTHER) == "ImplicitDeny"
    assert decision(ADMINISTRATOR, "eks:DeleteCluster", CLUSTER + "prod") == "Allow"
