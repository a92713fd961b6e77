"""The runbook `recover`, run: on MiniStack's Step Functions, with the function's real binary as the task and the simulated EKS behind it."""

import json
import re
import time
import urllib.request

import pytest
import yaml
from conftest import ADMIN, ROOT, started
from emulator import deploy, running

DEFINITION = yaml.safe_load((ROOT / "statemachines/recover.asl.yaml").read_text())
GRANT = {"clusterName": "prod", "principalArn": ADMIN, "requestedBy": "jane.doe@example.com", "reason": "INC-2041"}


@pytest.fixture(scope="module")
def ministack():
    # Waits are as short as they can be: what is waited for is AWS, and that is simulated.
    with running(SFN_WAIT_SCALE="0") as aws:
        yield aws


class Runbook:
    """The runbook in an account of its own, with a queue that hears what it announces."""

    def __init__(self, ministack, simulator, settings, approval, approval_seconds, told_by_the_bus):
        self.aws, self.simulator = ministack, simulator
        urllib.request.urlopen(urllib.request.Request(f"{ministack.url}/_ministack/reset", method="POST"))
        there = {f"AWS_ENDPOINT_URL_{service}": simulator.url for service in ("EKS", "IAM", "STS", "SCHEDULER")}
        function = deploy(ministack, {"AWS_ENDPOINT_URL": ministack.url} | there | settings)
        self.sqs, self.states = ministack.client("sqs"), ministack.client("stepfunctions")
        self.queue = self.sqs.create_queue(QueueName="heard")["QueueUrl"]
        sns = ministack.client("sns")
        topic = sns.create_topic(Name="break-glass")["TopicArn"]
        queue_arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
        text = json.dumps(DEFINITION).replace('"TimeoutSeconds": 3600', f'"TimeoutSeconds": {approval_seconds}')
        given = {"FunctionArn": function, "TopicArn": topic, "RequireApproval": approval, "ToldByTheBus": told_by_the_bus}
        for name, value in given.items():
            text = text.replace("${" + name + "}", value)
        assert "${" not in text
        self.machine = self.states.create_state_machine(
            name="recover", definition=text, roleArn="arn:aws:iam::000000000000:role/states"
        )["stateMachineArn"]

    def start(self, event):
        return self.states.start_execution(stateMachineArn=self.machine, input=json.dumps(event))["executionArn"]

    def end(self, execution):
        """How it ended: the result, or error and cause."""
        for _ in range(600):
            shown = self.states.describe_execution(executionArn=execution)
            if shown["status"] != "RUNNING":
                break
            time.sleep(0.05)
        assert shown["status"] in ("SUCCEEDED", "FAILED"), shown["status"]
        return json.loads(shown["output"]) if shown["status"] == "SUCCEEDED" else (shown["error"], shown["cause"])

    def run(self, event):
        return self.end(self.start(event))

    def heard(self):
        """The next announcement."""
        for _ in range(200):
            for message in self.sqs.receive_message(QueueUrl=self.queue).get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                return message["Body"]
            time.sleep(0.05)
        raise AssertionError("nothing was announced")

    def entries(self):
        return self.simulator.client("eks").list_access_entries(clusterName="prod")["accessEntries"]

    def fault(self, operation, kind, times):
        fault = json.dumps({"operation": operation, "kind": kind, "times": times}).encode()
        request = urllib.request.Request(f"{self.simulator.url}/_simulator/faults", data=fault, method="POST")
        urllib.request.urlopen(request)


@pytest.fixture
def runbook(ministack, request):
    given = {"scenario": "api-mode", "mode_change": 0, "settings": {}, "approval": "false", "approval_seconds": 3600, "told_by_the_bus": "false"}
    given |= getattr(request, "param", {})
    for simulator in started(given.pop("scenario"), given.pop("mode_change")):
        yield Runbook(ministack, simulator, **given)


def with_(**given):
    return pytest.mark.parametrize("runbook", [given], indirect=True, ids=[""])


def test_a_straight_grant_ends_in_the_functions_result_and_is_announced(runbook):
    result = runbook.run(GRANT)
    assert result["status"] == "GRANTED" and result["undo"]["action"] == "revoke"
    assert runbook.entries() == [ADMIN]
    announced = runbook.heard()
    for words in ("GRANTED", ADMIN, "jane.doe@example.com", "INC-2041", "it is revoked", "restore"):
        assert words in announced, announced
    assert runbook.run(GRANT)["status"] == "ALREADY_GRANTED"


@with_(scenario="sso-role-replaced", mode_change=1)
def test_a_change_of_mode_is_looked_at_again_until_it_is_through(runbook):
    result = runbook.run(GRANT | {"waitSeconds": 0})
    assert result["status"] == "GRANTED", result
    history = runbook.states.get_execution_history(
        executionArn=runbook.states.list_executions(stateMachineArn=runbook.machine)["executions"][0]["executionArn"],
        maxResults=1000,
    )["events"]
    waits = [event for event in history if event.get("stateEnteredEventDetails", {}).get("name") == "WaitForTheCluster"]
    assert waits, "it was still in progress at first"


@with_(told_by_the_bus="true")
def test_what_the_function_tells_by_the_bus_the_runbook_does_not_tell_again(runbook):
    assert runbook.run(GRANT)["status"] == "GRANTED"
    runbook.run(GRANT | {"durration": "1h"})
    assert runbook.heard().startswith("InvalidRequest"), "nothing came before the failure, which the bus is not told of"


@with_(told_by_the_bus="true", settings={"EVENT_BUS": "default", "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:9"})
def test_what_the_bus_could_not_be_told_the_runbook_tells(runbook):
    """Nothing listens where the bus is looked for."""
    assert [warning["code"] for warning in runbook.run(GRANT)["warnings"]] == ["NOT_ANNOUNCED"]
    assert runbook.heard().startswith("GRANTED")


@with_(told_by_the_bus="true", approval="true")
def test_who_has_approved_is_told_by_the_runbook_in_any_case(runbook):
    execution = runbook.start(GRANT)
    runbook.states.send_task_success(taskToken=token(runbook.heard()), output=json.dumps({"approved": True, "by": "john"}))
    assert runbook.end(execution)["status"] == "GRANTED"
    assert "Approved by: john" in runbook.heard()


def token(message):
    return re.search(r"send-task-success .* --task-token (\S+)", message)[1]


@with_(approval="true")
def test_with_approval_nothing_is_done_before_it_is_given(runbook):
    execution = runbook.start(GRANT)
    asked = runbook.heard()
    for words in (ADMIN, "jane.doe@example.com", "INC-2041", "AssociateAccessPolicy", "within an hour"):
        assert words in asked, asked
    assert runbook.entries() == []
    runbook.states.send_task_success(taskToken=token(asked), output=json.dumps({"approved": True, "by": "john"}))
    assert runbook.end(execution)["status"] == "GRANTED"
    assert "Approved by: john" in runbook.heard()


@with_(approval="true")
def test_what_is_refused_is_not_done(runbook):
    execution = runbook.start(GRANT)
    runbook.states.send_task_failure(taskToken=token(runbook.heard()), error="ApprovalRefused", cause="not tonight")
    error, cause = runbook.end(execution)
    assert error == "ApprovalRefused" and "not tonight" in cause and "nothing was changed" in cause
    assert runbook.entries() == []
    assert "not tonight" in runbook.heard()


@with_(approval="true")
def test_an_answer_that_does_not_say_yes_is_no(runbook):
    execution = runbook.start(GRANT)
    runbook.states.send_task_success(taskToken=token(runbook.heard()), output=json.dumps({"approved": "perhaps"}))
    assert runbook.end(execution)[0] == "ApprovalRefused"
    assert runbook.entries() == []


@with_(approval="true", approval_seconds=1)
def test_an_approval_that_does_not_come_in_time_is_none(runbook):
    error, cause = runbook.run(GRANT)
    assert error == "ApprovalTimedOut" and "start the execution again" in cause
    assert runbook.entries() == []


@with_(approval="true")
def test_where_nothing_is_to_be_done_nobody_is_asked(runbook):
    eks = runbook.simulator.client("eks")
    eks.create_access_entry(clusterName="prod", principalArn=ADMIN)
    policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    eks.associate_access_policy(clusterName="prod", principalArn=ADMIN, policyArn=policy, accessScope={"type": "cluster"})
    assert runbook.run(GRANT)["status"] == "ALREADY_GRANTED"


def test_a_throttled_call_is_tried_again(runbook):
    runbook.fault("CreateAccessEntry", "throttled", 4)
    assert runbook.run(GRANT)["status"] == "GRANTED"


def test_an_inspection_and_a_dry_run_change_nothing(runbook):
    assert runbook.run({"action": "inspect", "clusterName": "prod"})["status"] == "INSPECTED"
    assert runbook.run(GRANT | {"dryRun": True})["status"] == "PLANNED"
    assert runbook.entries() == []


def test_a_revoke_goes_the_same_way(runbook):
    granted = runbook.run(GRANT)
    # MiniStack's Lambda and the simulated EKS are in accounts of different numbers, and an ARN would name the wrong one.
    assert runbook.run(granted["undo"] | {"clusterName": "prod"})["status"] == "REVOKED"
    assert runbook.entries() == []


@pytest.mark.parametrize(
    ("event", "error", "words"),
    [
        ({"durration": "1h"}, "InvalidRequest", "`duration`"),
        ({"clusterName": "nope"}, "ClusterNotFound", "clusterName"),
        ({"principalArn": ADMIN + "x"}, "PrincipalNotFound", "principalArn"),
        ({"policyArn": "AmazonEKSViewPolicy"}, "RequestDenied", "ALLOWED_POLICIES"),
        ({"duration": "1h"}, "ExpiryUnavailable", "SCHEDULE_GROUP"),
    ],
)
def test_what_cannot_be_done_fails_with_the_functions_words(runbook, event, error, words):
    failed, cause = runbook.run(GRANT | event)
    assert failed == error and words in cause and "nothing was changed" in cause
    assert not cause.startswith("{"), "words, not JSON"
    assert runbook.heard().startswith(error)


@pytest.mark.parametrize(
    ("operation", "kind", "error"),
    [("DescribeCluster", "denied", "PermissionDenied"), ("AssociateAccessPolicy", "denied", "PermissionDenied")],
)
def test_what_aws_refuses_fails_with_what_was_changed(runbook, operation, kind, error):
    runbook.fault(operation, kind, 100)
    failed, cause = runbook.run(GRANT)
    assert failed == error and f"eks:{operation}" in cause
    if operation == "AssociateAccessPolicy":
        assert "already changed: the access entry was created" in cause


def test_the_names_of_errors_are_those_of_the_code():
    code = (ROOT / "src/error.rs").read_text()
    names = set(re.findall(r"Self::(\w+),", re.search(r"ALL: .*?\[(.*?)\];", code, re.S)[1]))
    retryable = set(re.findall(r"Self::(\w+)", re.search(r"fn is_retryable.*?\n    }", code, re.S)[0]))
    for state in (DEFINITION["States"]["Plan"], DEFINITION["States"]["Act"]):
        ours, platform = (set(retry["ErrorEquals"]) for retry in state["Retry"])
        assert ours == retryable
        assert all(name.startswith("Lambda.") for name in platform)
        caught = [set(catch["ErrorEquals"]) for catch in state["Catch"]]
        assert caught == [names - retryable, retryable, {"States.ALL"}]
