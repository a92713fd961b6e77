"""The template agrees with the code: settings, permissions, and who may call what."""

import json
import re

import pytest
from cloudformation import ACCOUNT, CONTRACT, REGION, ROOT, TARGET, TEMPLATE, parameters, resolve, role_policies
from test_iam_policies import QUEUE, SSO, listed


def settings_of_the_readme():
    table = (ROOT / "README.md").read_text().split("## Settings")[1].split("The variables that")[0]
    return {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`([A-Z_]+)`", row)}


def test_every_setting_has_a_parameter_and_reaches_the_function():
    variables = TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"]["Environment"]["Variables"]
    assert set(variables) == settings_of_the_readme()
    assert set(variables) == set(CONTRACT["settings"])
    for value in variables.values():
        [source] = set(re.findall(r"'(?:Ref|Fn::GetAtt)': '(\w+)[.\w]*'", str(value)))
        assert source in TEMPLATE["Parameters"] or source in TEMPLATE["Resources"]


@pytest.mark.parametrize(
    ("setting", "parameter", "value"),
    [
        ("ALLOWED_PRINCIPALS", "AllowedPrincipals", f"{SSO},arn:aws:iam::{ACCOUNT}:user/jane"),
        ("ALLOWED_GROUPS", "AllowedGroups", "dev-*,user:ci-*"),
        ("ALLOWED_ACCOUNTS", "AllowedAccounts", "444455556666,777788889999"),
    ],
)
def test_an_empty_list_is_an_absent_setting(setting, parameter, value):
    """The function refuses a list that is set but empty."""
    function = TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"]
    assert setting not in resolve(function, parameters())["Environment"]["Variables"]
    assert resolve(function, parameters(**{parameter: value}))["Environment"]["Variables"][setting] == value


def test_an_external_id_is_not_used_without_a_role_to_assume():
    external_id = TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"]["Environment"]["Variables"]["TARGET_EXTERNAL_ID"]
    typed = {"TargetExternalId": "whatever SAM asked for"}
    assert resolve(external_id, parameters(**typed)) == ""
    assert resolve(external_id, parameters(**typed, TargetRoleName="there")) == "whatever SAM asked for"


def test_defaults_are_those_of_the_documentation():
    values = parameters()
    variables = TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"]["Environment"]["Variables"]
    resolved = resolve(variables, values)
    assert resolved["ALLOWED_CLUSTERS"] == "*"
    assert resolved["ALLOWED_POLICIES"] == "AmazonEKSClusterAdminPolicy"
    assert resolved["ALLOW_AUTHENTICATION_MODE_CHANGE"] == "true"
    assert resolved["REQUIRE_REASON"] == resolved["REQUIRE_APPROVAL"] == resolved["GRANTS_FROZEN"] == "false"
    assert resolved["EMERGENCY_MAX_DURATION"] == "0", "no emergency grants"
    assert (resolved["DEFAULT_DURATION"], resolved["MAX_DURATION"]) == ("1h", "12h"), "no access without an end"
    assert resolved["LOG_LEVEL"] == "INFO"
    assert resolved["SCHEDULE_GROUP"] == "eks-break-glass"
    set_by_default = {name for name, value in resolved.items() if value}
    assert resolved["EVENT_BUS"] == "default", "nobody gets in unseen"
    assert len(set_by_default) == 14, "everything else is off"


def test_the_role_has_exactly_the_actions_that_the_adapter_calls():
    called = set(CONTRACT["operations"].values()) - {"sts:GetCallerIdentity"}
    beside = {"eks:TagResource", "iam:PassRole", "sqs:SendMessage", "events:PutEvents"}
    everything = role_policies(TEMPLATE, "FunctionRole", AssumablePrincipals=SSO)
    granted = {action for document in everything for statement in document["Statement"] for action in listed(statement["Action"])}
    assert {action for action in granted if not action.startswith("logs:")} == called | beside


def test_the_outputs_are_commands_with_events_of_known_fields():
    commands = {name: output["Value"]["Fn::Sub"] for name, output in TEMPLATE["Outputs"].items() if name.endswith("Command")}
    assert set(commands) == {
        "PlanCommand", "GrantCommand", "GrantForAnHourCommand", "RevokeCommand", "InspectCommand", "SamGrantCommand",
        "StartRecoveryCommand", "StartFleetCommand",
    }
    for name, command in commands.items():
        event = json.loads(re.search(r"'(\{.*\})'", command)[1])
        if name == "StartFleetCommand":
            [cluster] = event["clusters"]
            assert set(event) == {"clusters", "defaults"}
            event = event["defaults"] | cluster
        assert event["clusterName"].startswith("CLUSTER")
        assert set(event) <= set(CONTRACT["eventFields"])


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
    function, revoke = (resources["EksBreakGlassFunction"]["Properties"]["EventInvokeConfig"], resources["RevokeInvokeConfig"]["Properties"])
    for retries in (function, revoke):
        assert (retries["MaximumRetryAttempts"], retries["MaximumEventAgeInSeconds"]) == (2, 21600), "the most that Lambda does"
        assert retries["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": "UndeliveredRevokes.Arn"}
    # A configuration belongs to one alias, and can't be created before it.
    assert revoke["Qualifier"] == resources["RevokeAlias"]["Properties"]["Name"]
    assert resources["RevokeInvokeConfig"]["DependsOn"] == "RevokeAlias"
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


def test_the_function_has_the_aliases_of_its_callers():
    aliases = [resource["Properties"] for resource in TEMPLATE["Resources"].values() if resource["Type"] == "AWS::Lambda::Alias"]
    assert sorted(alias["Name"] for alias in aliases) == ["approved", "revoke"]
    for alias in aliases:
        assert (alias["FunctionName"], alias["FunctionVersion"]) == ({"Ref": "EksBreakGlassFunction"}, "$LATEST")


@pytest.mark.parametrize("name", ["eks-break-glass", "team-a-break-glass"])
def test_scheduler_invokes_only_the_alias_revoke_and_only_for_this_group(name):
    values = parameters(FunctionName=name)
    role = resolve(TEMPLATE["Resources"]["ScheduleRole"]["Properties"], values)
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    source = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{name}"
    assert (trust["Principal"], trust["Action"]) == ({"Service": "scheduler.amazonaws.com"}, "sts:AssumeRole")
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": source}}
    [policy] = role["Policies"]
    may = {statement["Action"]: statement["Resource"] for statement in policy["PolicyDocument"]["Statement"]}
    alias = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}:revoke"
    assert may == {"lambda:InvokeFunction": alias, "sqs:SendMessage": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}-undelivered"}


def test_the_function_runs_in_a_vpc_only_where_one_is_given():
    function = TEMPLATE["Resources"]["EksBreakGlassFunction"]["Properties"]["VpcConfig"]
    role = TEMPLATE["Resources"]["FunctionRole"]["Properties"]["ManagedPolicyArns"]
    assert function["Fn::If"][0] == role["Fn::If"][0] == "RunsInVpc"
    assert parameters()["VpcSubnetIds"] == [""]


@pytest.mark.parametrize("given", [{}, {"AllowedPrincipals": SSO, "AllowedClusters": "dev-*,prod", "AllowedGroups": "dev-*"}], ids=["defaults", "restricted"])
def test_the_role_in_another_account_is_restricted_as_the_functions_own(given):
    own = TEMPLATE["Resources"]["FunctionRole"]["Properties"]["Policies"]
    [restrictions] = [policy["PolicyDocument"] for policy in own if policy["PolicyName"] == "break-glass"]
    [there] = TARGET["Resources"]["TargetRole"]["Properties"]["Policies"]
    assert resolve(there["PolicyDocument"], parameters(TARGET, **given)) == resolve(restrictions, parameters(**given))
    changes = [template["Resources"]["ChangeAuthenticationMode"] for template in (TEMPLATE, TARGET)]
    assert changes[0]["Properties"]["PolicyDocument"] == changes[1]["Properties"]["PolicyDocument"]
    assert changes[0]["Condition"] == changes[1]["Condition"]
    for name, parameter in TARGET["Parameters"].items():
        assert TEMPLATE["Parameters"].get(name, parameter) == parameter, name


def test_the_role_in_another_account_trusts_one_role_with_the_external_id():
    [trust] = TARGET["Resources"]["TargetRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": {"Ref": "TrustedRoleArn"}}
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}}


@pytest.mark.parametrize("name", ["Recover", "Fleet"])
def test_a_runbook_is_given_all_that_it_is_written_with(name):
    definition = (ROOT / f"statemachines/{name.lower()}.asl.yaml").read_text()
    machine = TEMPLATE["Resources"][f"{name}StateMachine"]["Properties"]
    assert machine["DefinitionUri"] == f"statemachines/{name.lower()}.asl.yaml"
    assert set(machine["DefinitionSubstitutions"]) == set(re.findall(r"\$\{(\w+)\}", definition))
    assert machine["Type"] == "STANDARD"


@pytest.mark.parametrize("role", ["RunbookRole", "FleetRole"])
def test_only_the_stacks_own_workflows_assume_their_roles(role):
    [trust] = resolve(TEMPLATE["Resources"][role]["Properties"]["AssumeRolePolicyDocument"], parameters())["Statement"]
    assert (trust["Principal"], trust["Action"]) == ({"Service": "states.amazonaws.com"}, "sts:AssumeRole")
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:eks-break-glass-*"},
    }


def test_the_workflow_invokes_the_function_and_approved_and_publishes_and_nothing_else():
    [policy] = TEMPLATE["Resources"]["RunbookRole"]["Properties"]["Policies"]
    may = {statement["Action"]: statement["Resource"] for statement in policy["PolicyDocument"]["Statement"]}
    assert may == {
        "lambda:InvokeFunction": [{"Fn::GetAtt": "EksBreakGlassFunction.Arn"}, {"Ref": "ApprovedAlias"}],
        "sns:Publish": {"Ref": "Announcements"},
    }


def test_the_runbook_for_a_fleet_may_run_itself_and_reach_its_own_bucket_beside():
    values = parameters()
    values |= {"EksBreakGlassFunction.Arn": "FUNCTION", "ApprovedAlias": "APPROVED", "Announcements": "TOPIC", "FleetResults.Arn": "RESULTS"}
    role = resolve(TEMPLATE["Resources"]["FleetRole"]["Properties"], values)
    [policy] = role["Policies"]
    may = {
        (action, resource)
        for statement in policy["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    name = resolve(TEMPLATE["Resources"]["FleetStateMachine"]["Properties"]["Name"], values)
    states = f"arn:aws:states:{REGION}:{ACCOUNT}:"
    children = [f"{states}execution:{name}:*", f"{states}execution:{name}/*:*"]
    assert may == {
        ("lambda:InvokeFunction", "FUNCTION"),
        ("lambda:InvokeFunction", "APPROVED"),
        ("sns:Publish", "TOPIC"),
        ("states:StartExecution", f"{states}stateMachine:{name}"),
        *((f"states:{action}Execution", execution) for action in ("Describe", "Stop") for execution in children),
        *((f"s3:{action}", "RESULTS/*") for action in ("PutObject", "GetObject", "ListMultipartUploadParts", "AbortMultipartUpload")),
        ("s3:ListBucket", "RESULTS"),
    }


def test_lists_are_read_from_where_the_parameters_say_and_nowhere_else():
    lists = TEMPLATE["Resources"]["ReadFleetLists"]
    assert lists["Condition"] == "ListsAreRead" and lists["Properties"]["RoleName"] == {"Ref": "FleetRole"}
    assert resolve(TEMPLATE["Conditions"]["ListsAreRead"], parameters()) is False
    values = parameters(FleetListsBucket="lists", FleetListsPrefix="fleets/")
    assert resolve(TEMPLATE["Conditions"]["ListsAreRead"], values) is True
    [statement] = resolve(lists["Properties"]["PolicyDocument"], values)["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("s3:GetObject", "arn:aws:s3:::lists/fleets/*")


def test_results_are_kept_encrypted_private_and_for_a_time():
    bucket = TEMPLATE["Resources"]["FleetResults"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    properties = resolve(bucket["Properties"], parameters())
    [rule] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    [expiry] = properties["LifecycleConfiguration"]["Rules"]
    assert (expiry["Status"], expiry["ExpirationInDays"]) == ("Enabled", 365)


def test_results_are_reached_over_tls_alone_and_written_by_the_fleet_alone():
    values = parameters()
    values |= {"FleetResults.Arn": "RESULTS", "FleetRole.Arn": "ROLE"}
    tls, writes = resolve(TEMPLATE["Resources"]["FleetResultsPolicy"]["Properties"]["PolicyDocument"], values)["Statement"]
    assert (tls["Effect"], tls["Principal"], tls["Action"], tls["Resource"]) == ("Deny", "*", "s3:*", ["RESULTS", "RESULTS/*"])
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (writes["Effect"], writes["Principal"], writes["Action"], writes["Resource"]) == ("Deny", "*", "s3:PutObject", "RESULTS/*")
    assert writes["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": "ROLE"}}
