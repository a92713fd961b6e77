"""The template agrees with the code: settings, permissions, and the fences of the role."""

import fnmatch
import json
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ACCOUNT, REGION = "111122223333", "eu-west-1"
CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/"
ENTRY = f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
SCHEDULE = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/"
SCHEDULE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/schedule-role"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:eks-break-glass-undelivered"
SSO = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_BreakGlass_0f1e2d3c4b5a6978"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as `{"Fn::Name": value}`."""


def short_form(loader, suffix, node):
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)
TEMPLATE = yaml.load((ROOT / "template.yaml").read_text(), Loader)
TARGET = yaml.load((ROOT / "target-account.yaml").read_text(), Loader)


def parameters(**given):
    values = {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": REGION}
    for name, parameter in TEMPLATE["Parameters"].items():
        value = given.get(name, parameter["Default"])
        values[name] = value.split(",") if parameter["Type"] == "CommaDelimitedList" else value
    queue = resolve(TEMPLATE["Resources"]["UndeliveredRevokes"]["Properties"]["QueueName"], values)
    return values | {
        "ScheduleGroup": resolve(TEMPLATE["Resources"]["ScheduleGroup"]["Properties"]["Name"], values),
        "ScheduleRole.Arn": SCHEDULE_ROLE,
        "UndeliveredRevokes.QueueName": queue,
        "UndeliveredRevokes.Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
    }


def resolve(value, values):
    """What CloudFormation makes of a value."""
    if isinstance(value, list):
        return [resolve(item, values) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(function, argument)] = value.items()
        match function:
            case "Ref":
                return values.get(argument, argument)
            case "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda name: str(values.get(name[1], name[1])), argument)
            case "Fn::Join":
                return argument[0].join(resolve(argument[1], values))
            case "Fn::Split":
                return resolve(argument[1], values).split(argument[0])
            case "Fn::GetAtt":
                return values.get(argument, argument)
            case "Fn::Equals":
                left, right = resolve(argument, values)
                return left == right
            case "Fn::Select":
                index, items = argument
                return resolve(items, values)[index]
            case "Fn::If":
                condition, then, otherwise = argument
                return resolve(then if resolve(TEMPLATE["Conditions"][condition], values) else otherwise, values)
            case "Fn::Not":
                return not resolve(argument[0], values)
            case "Fn::If":
                condition, then, otherwise = argument
                return resolve(then if resolve(TEMPLATE["Conditions"][condition], values) else otherwise, values)
    return {key: resolve(item, values) for key, item in value.items()}


def statements(**given):
    """All that the function's role may do on EKS and IAM, with these parameters."""
    values = parameters(**given)
    resources = TEMPLATE["Resources"]
    documents = [policy["PolicyDocument"] for policy in resources["FunctionRole"]["Properties"]["Policies"]]
    if resolve(TEMPLATE["Conditions"]["ModeMayChange"], values):
        documents.append(resources["ChangeAuthenticationMode"]["Properties"]["PolicyDocument"])
    if resolve(TEMPLATE["Conditions"]["IsAnnounced"], values):
        documents.append(resources["Announce"]["Properties"]["PolicyDocument"])
    if resolve(TEMPLATE["Conditions"]["OtherAccountsAreReached"], values):
        documents.append(resources["TakeOnTargetRole"]["Properties"]["PolicyDocument"])
    if resolve(TEMPLATE["Conditions"]["PrincipalsAreAssumable"], values):
        documents.append(resources["TakeOnPrincipals"]["Properties"]["PolicyDocument"])
    return [resolve(statement, values) for document in documents for statement in document["Statement"]]


def listed(value):
    return value if isinstance(value, list) else [value]


def like(patterns, text):
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in listed(patterns))


OPERATORS = {
    "StringLike": lambda wanted, value: value is not None and like(wanted, value),
    "StringLikeIfExists": lambda wanted, value: value is None or like(wanted, value),
    "StringEquals": lambda wanted, value: value in listed(wanted),
}


def allows(statements, action, resource, context=None):
    """Whether these statements allow a call; a condition on a key that the call does not have is not met."""
    context = context or {}
    for statement in statements:
        conditions = statement.get("Condition", {})
        assert set(conditions) <= set(OPERATORS), "teach this test the operator"
        met = all(
            OPERATORS[operator](wanted, context.get(key)) for operator, keys in conditions.items() for key, wanted in keys.items()
        )
        if like(statement["Action"], action) and like(statement["Resource"], resource) and met:
            return True
    return False


def allowed(action, resource, context=None, **given):
    """Whether the function's role allows a call."""
    return allows(statements(**given), action, resource, context)


def settings_of_the_readme():
    table = (ROOT / "README.md").read_text().split("## Settings")[1].split("The variables that")[0]
    return {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`([A-Z_]+)`", row)}


def test_every_setting_has_a_parameter_and_reaches_the_function():
    variables = TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"]["Environment"]["Variables"]
    assert set(variables) == settings_of_the_readme()
    code = (ROOT / "src/settings.rs").read_text()
    for name, value in variables.items():
        assert f'"{name}"' in code, f"{name} is not read"
        [source] = re.findall(r"'(?:Ref|Fn::GetAtt)': '(\w+)[.\w]*'", str(value))
        assert source in TEMPLATE["Parameters"] or source in TEMPLATE["Resources"]


def test_defaults_are_those_of_the_documentation():
    values = parameters()
    variables = TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"]["Environment"]["Variables"]
    resolved = {name: resolve(value, values) for name, value in variables.items()}
    assert resolved["ALLOWED_CLUSTERS"] == resolved["ALLOWED_PRINCIPALS"] == "*"
    assert resolved["ALLOWED_POLICIES"] == "AmazonEKSClusterAdminPolicy"
    assert resolved["ALLOW_AUTHENTICATION_MODE_CHANGE"] == "true"
    assert resolved["REQUIRE_REASON"] == "false"
    assert resolved["LOG_LEVEL"] == "INFO"
    assert resolved["SCHEDULE_GROUP"] == "eks-break-glass"
    set_by_default = {name for name, value in resolved.items() if value}
    assert len(set_by_default) == 9, "everything else is off"


def test_the_role_has_exactly_the_actions_that_the_adapter_calls():
    code = (ROOT / "src/aws/operation.rs").read_text()
    operations = re.search(r"pub enum Operation \{(.*?)\}", code, re.S)[1]
    names = set(re.findall(r"(\w+),", operations)) - {"GetCallerIdentity"}
    called = {f"{service_of(name)}:{name}" for name in names}
    # EventBridge is called without its SDK (src/aws/events.rs), so it is not among the operations.
    beside = {"eks:TagResource", "iam:PassRole", "sqs:SendMessage", "events:PutEvents"}
    everything = statements(AssumablePrincipals=SSO, EventBus="security")
    granted = {action for statement in everything for action in listed(statement["Action"])}
    assert {action for action in granted if not action.startswith("logs:")} == called | beside


def service_of(operation):
    if operation == "AssumeRole":
        return "sts"
    if operation.endswith(("Role", "Roles", "User", "Users")):
        return "iam"
    return "scheduler" if "Schedule" in operation else "eks"


FENCED = {
    "AllowedClusters": "dev-*,payments",
    "AllowedPrincipals": f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_BreakGlass_*",
}
OTHER = f"arn:aws:iam::{ACCOUNT}:role/admin"


OURS = {"aws:ResourceTag/eks-break-glass:made-by": "eks-break-glass 0.1.0"}


def create(principal=SSO, kind="STANDARD"):
    return {"eks:principalArn": principal, "eks:accessEntryType": kind}


def associate(policy="AmazonEKSClusterAdminPolicy", principal=SSO):
    return {"eks:principalArn": principal, "eks:policyArn": POLICY + policy}


@pytest.mark.parametrize(
    ("expected", "action", "resource", "context"),
    [
        (True, "eks:DescribeCluster", CLUSTER + "dev-1", {}),
        (True, "eks:DescribeCluster", CLUSTER + "payments", {}),
        (False, "eks:DescribeCluster", CLUSTER + "payments-2", {}),
        (False, "eks:DescribeCluster", CLUSTER + "prod", {}),
        (True, "eks:DescribeUpdate", CLUSTER + "dev-1", {}),
        (True, "eks:ListAccessEntries", CLUSTER + "dev-1", {}),
        (True, "eks:DescribeAccessEntry", ENTRY + "dev-1/role/x/y/z", {}),
        (False, "eks:DescribeAccessEntry", ENTRY + "prod/role/x/y/z", {}),
        (True, "eks:UpdateClusterConfig", CLUSTER + "dev-1", {"eks:authenticationMode": "API_AND_CONFIG_MAP"}),
        (False, "eks:UpdateClusterConfig", CLUSTER + "dev-1", {"eks:authenticationMode": "API"}),
        (False, "eks:UpdateClusterConfig", CLUSTER + "dev-1", {"eks:endpointPublicAccess": "true"}),
        (False, "eks:UpdateClusterConfig", CLUSTER + "prod", {"eks:authenticationMode": "API_AND_CONFIG_MAP"}),
        (True, "eks:CreateAccessEntry", CLUSTER + "dev-1", create()),
        (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", create(OTHER)),
        (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", create(kind="EC2_LINUX")),
        (False, "eks:CreateAccessEntry", CLUSTER + "dev-1", {"eks:principalArn": SSO}),
        (False, "eks:CreateAccessEntry", CLUSTER + "prod", create()),
        (True, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create()),
        (False, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(OTHER)),
        (False, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(kind="EC2_LINUX")),
        (True, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate()),
        (True, "eks:AssociateAccessPolicy", ENTRY + "payments/role/x/y/z", associate("AmazonEKSViewPolicy")),
        (False, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate("AmazonEKSAutoNodePolicy")),
        (False, "eks:AssociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate(principal=OTHER)),
        (False, "eks:AssociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate()),
        (True, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(OTHER) | OURS),
        (False, "eks:DeleteAccessEntry", ENTRY + "prod/role/x/y/z", create(OTHER) | OURS),
        (False, "eks:DeleteAccessEntry", ENTRY + "dev-1/role/x/y/z", create(kind="EC2_LINUX") | OURS),
        (True, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate()),
        (True, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate(principal=OTHER)),
        (False, "eks:DisassociateAccessPolicy", ENTRY + "dev-1/role/x/y/z", associate("AmazonEKSAutoNodePolicy")),
        (False, "eks:DisassociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate()),
        (True, "scheduler:CreateSchedule", SCHEDULE + "eks-break-glass/prod-1", {}),
        (True, "scheduler:DeleteSchedule", SCHEDULE + "eks-break-glass/prod-1", {}),
        (False, "scheduler:CreateSchedule", SCHEDULE + "default/prod-1", {}),
        (False, "scheduler:UpdateSchedule", SCHEDULE + "eks-break-glass-2/prod-1", {}),
        (False, "scheduler:DeleteScheduleGroup", SCHEDULE.replace("schedule/", "schedule-group/") + "eks-break-glass", {}),
        (True, "scheduler:GetSchedule", SCHEDULE + "eks-break-glass/prod-1", {}),
        (True, "scheduler:UpdateSchedule", SCHEDULE + "eks-break-glass/prod-1", {}),
        (False, "scheduler:GetSchedule", SCHEDULE + "default/prod-1", {}),
        (False, "scheduler:DeleteSchedule", SCHEDULE + "default/prod-1", {}),
        (False, "scheduler:CreateSchedule", SCHEDULE.replace(REGION, "eu-central-1") + "eks-break-glass/prod-1", {}),
        (False, "scheduler:CreateSchedule", SCHEDULE.replace(ACCOUNT, "999999999999") + "eks-break-glass/prod-1", {}),
        (True, "scheduler:ListSchedules", SCHEDULE + "*/*", {}),
        (True, "iam:PassRole", SCHEDULE_ROLE, {"iam:PassedToService": "scheduler.amazonaws.com"}),
        (False, "iam:PassRole", SCHEDULE_ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
        (False, "iam:PassRole", SCHEDULE_ROLE, {}),
        (False, "iam:PassRole", OTHER, {"iam:PassedToService": "scheduler.amazonaws.com"}),
        (True, "sqs:SendMessage", QUEUE, {}),
        (False, "sqs:SendMessage", QUEUE + "-2", {}),
        (True, "iam:ListRoles", f"arn:aws:iam::{ACCOUNT}:role/", {}),
        (True, "iam:ListUsers", f"arn:aws:iam::{ACCOUNT}:user/", {}),
        (True, "eks:TagResource", ENTRY + "dev-1/role/x/y/z", {}),
        (True, "eks:TagResource", ENTRY + "dev-1/role/x/y/z", create()),
        (False, "eks:TagResource", ENTRY + "dev-1/role/x/y/z", create(OTHER)),
        (False, "eks:TagResource", CLUSTER + "dev-1", {}),
        (False, "eks:UpdateAccessEntry", ENTRY + "dev-1/role/x/y/z", create()),
        (True, "iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/x", {}),
        (True, "iam:GetUser", f"arn:aws:iam::{ACCOUNT}:user/x", {}),
        (False, "iam:GetRole", "arn:aws:iam::999999999999:role/x", {}),
        (False, "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/x", {}),
        (False, "sts:AssumeRole", "arn:aws:iam::999999999999:role/x", {}),
        (False, "eks:DeleteCluster", CLUSTER + "dev-1", {}),
    ],
)
def test_what_the_guard_forbids_the_role_forbids_too(expected, action, resource, context):
    assert allowed(action, resource, context, **FENCED) is expected


def test_without_leave_to_change_the_mode_the_role_cannot_either():
    mode = {"eks:authenticationMode": "API_AND_CONFIG_MAP"}
    assert allowed("eks:UpdateClusterConfig", CLUSTER + "prod", mode)
    assert not allowed("eks:UpdateClusterConfig", CLUSTER + "prod", mode, AllowAuthenticationModeChange="false")


def test_only_policies_that_are_listed_can_be_associated():
    assert not allowed("eks:AssociateAccessPolicy", ENTRY + "prod/role/x/y/z", associate(), AllowedPolicies="AmazonEKSViewPolicy")


def test_the_outputs_are_commands_with_events_of_known_fields():
    request = (ROOT / "src/request.rs").read_text()
    commands = {name: output["Value"]["Fn::Sub"] for name, output in TEMPLATE["Outputs"].items() if name.endswith("Command")}
    assert set(commands) == {
        "PlanCommand", "GrantCommand", "GrantForAnHourCommand", "RevokeCommand", "InspectCommand", "SamGrantCommand",
        "StartRecoveryCommand",
    }
    for command in commands.values():
        event = json.loads(re.search(r"'(\{.*\})'", command)[1])
        assert event["clusterName"] == "CLUSTER"
        assert all(f'("{field}", ' in request for field in event)


def test_pending_revokes_outlive_an_upgrade_and_the_stack():
    group = TEMPLATE["Resources"]["ScheduleGroup"]
    assert group["DeletionPolicy"] == group["UpdateReplacePolicy"] == "Retain"
    assert group["Properties"] == {"Name": {"Ref": "FunctionName"}}


def test_group_role_and_queue_are_the_stacks_own():
    variables = TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["SCHEDULE_GROUP"] == {"Ref": "ScheduleGroup"}
    assert variables["SCHEDULE_ROLE_ARN"] == {"Fn::GetAtt": "ScheduleRole.Arn"}
    assert variables["SCHEDULE_DLQ_ARN"] == {"Fn::GetAtt": "UndeliveredRevokes.Arn"}
    assert not {name for name in TEMPLATE["Parameters"] if name.startswith("Schedule")}


def test_a_revoke_that_fails_is_tried_again_and_then_kept():
    resources = TEMPLATE["Resources"]
    retries = resources["EksBreakGlassFunction"]["Properties"]["EventInvokeConfig"]
    assert (retries["MaximumRetryAttempts"], retries["MaximumEventAgeInSeconds"]) == (2, 21600), "the most that Lambda does"
    assert retries["DestinationConfig"]["OnFailure"] == {"Type": "SQS", "Destination": {"Fn::GetAtt": "UndeliveredRevokes.Arn"}}
    queue = resources["UndeliveredRevokes"]
    assert queue["DeletionPolicy"] == queue["UpdateReplacePolicy"] == "Retain"
    assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["Properties"]["SqsManagedSseEnabled"] is True
    assert TEMPLATE["Outputs"]["UndeliveredQueue"]["Value"] == {"Fn::GetAtt": "UndeliveredRevokes.QueueName"}


def test_the_queue_is_reached_over_tls_alone():
    policy = resolve(TEMPLATE["Resources"]["UndeliveredRevokesPolicy"]["Properties"], parameters())
    assert TEMPLATE["Resources"]["UndeliveredRevokesPolicy"]["Properties"]["Queues"] == [{"Ref": "UndeliveredRevokes"}]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "sqs:*")
    assert statement["Resource"] == QUEUE
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_one_message_in_the_queue_is_an_alarm():
    alarm = resolve(TEMPLATE["Resources"]["AccessOutlivesItsEnd"]["Properties"], parameters())
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "eks-break-glass-undelivered"}]
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == ("Maximum", "GreaterThanThreshold", 0)
    assert alarm["EvaluationPeriods"] == 1


def test_the_alarm_is_sent_where_there_is_a_topic():
    alarm, topic = TEMPLATE["Resources"]["AccessOutlivesItsEnd"]["Properties"], f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call"
    assert resolve(alarm, parameters())["AlarmActions"] == "AWS::NoValue"
    assert resolve(alarm, parameters(AlarmTopicArn=topic))["AlarmActions"] == [topic]


@pytest.mark.parametrize("name", ["eks-break-glass", "team-a-break-glass"])
def test_scheduler_may_invoke_just_this_function_and_only_for_this_group(name):
    values = parameters(FunctionName=name)
    role = resolve(TEMPLATE["Resources"]["ScheduleRole"]["Properties"], values)
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    source = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{name}"
    assert (trust["Principal"], trust["Action"]) == ({"Service": "scheduler.amazonaws.com"}, "sts:AssumeRole")
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": source}}
    [policy] = role["Policies"]
    may = {statement["Action"]: statement["Resource"] for statement in policy["PolicyDocument"]["Statement"]}
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    assert may == {"lambda:InvokeFunction": function, "sqs:SendMessage": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}-undelivered"}


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


def test_the_function_runs_in_a_vpc_only_where_one_is_given():
    function = TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"]["VpcConfig"]
    role = TEMPLATE["Resources"]["FunctionRole"]["Properties"]["ManagedPolicyArns"]
    assert function["Fn::If"][0] == role["Fn::If"][0] == "RunsInVpc"
    assert parameters()["VpcSubnetIds"] == [""]


def test_the_role_in_another_account_is_fenced_as_the_functions_own():
    own = TEMPLATE["Resources"]["FunctionRole"]["Properties"]["Policies"]
    [fences] = [policy["PolicyDocument"] for policy in own if policy["PolicyName"] == "break-glass"]
    [there] = TARGET["Resources"]["TargetRole"]["Properties"]["Policies"]
    assert there["PolicyDocument"] == fences
    changes = [template["Resources"]["ChangeAuthenticationMode"] for template in (TEMPLATE, TARGET)]
    assert changes[0]["Properties"]["PolicyDocument"] == changes[1]["Properties"]["PolicyDocument"]
    assert changes[0]["Condition"] == changes[1]["Condition"]
    for name, parameter in TARGET["Parameters"].items():
        assert TEMPLATE["Parameters"].get(name, parameter) == parameter, name


def test_the_role_in_another_account_trusts_one_role_with_the_external_id():
    [trust] = TARGET["Resources"]["TargetRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": {"Ref": "TrustedRoleArn"}}
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}}


def test_the_function_takes_on_the_target_role_and_no_other():
    there = "arn:aws:iam::444455556666:role/"
    assert not allowed("sts:AssumeRole", there + "target")
    assert allowed("sts:AssumeRole", there + "target", TargetRoleName="target")
    assert not allowed("sts:AssumeRole", there + "admin", TargetRoleName="target")


def test_the_runbook_is_given_all_that_it_is_written_with_and_may_do_nothing_else():
    definition = (ROOT / "statemachines/recover.asl.yaml").read_text()
    machine = TEMPLATE["Resources"]["RecoverStateMachine"]["Properties"]
    assert set(machine["DefinitionSubstitutions"]) == set(re.findall(r"\$\{(\w+)\}", definition))
    assert machine["Type"] == "STANDARD"
    [policy] = TEMPLATE["Resources"]["RunbookRole"]["Properties"]["Policies"]
    may = {statement["Action"]: statement["Resource"] for statement in policy["PolicyDocument"]["Statement"]}
    assert may == {
        "lambda:InvokeFunction": {"Fn::GetAtt": "EksBreakGlassFunction.Arn"},
        "sns:Publish": {"Ref": "Announcements"},
    }


def test_the_function_announces_on_its_bus_as_itself_and_nowhere_else():
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/"
    itself = {"events:source": "eks-break-glass"}
    assert not allowed("events:PutEvents", bus + "security", itself)
    assert allowed("events:PutEvents", bus + "security", itself, EventBus="security")
    assert allowed("events:PutEvents", bus + "security", itself, EventBus=bus + "security")
    assert not allowed("events:PutEvents", bus + "default", itself, EventBus="security")
    assert not allowed("events:PutEvents", bus + "security", {"events:source": "aws.ec2"}, EventBus="security")
