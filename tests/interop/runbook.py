"""A runbook in an account of its own: on MiniStack's Step Functions, with the function's real binary as the task and the simulated EKS behind it."""

import json
import re
import time
import urllib.request

import yaml
from conftest import ROOT
from emulator import deploy


def definition(name):
    return yaml.safe_load((ROOT / f"statemachines/{name}.asl.yaml").read_text())


class Runbook:
    """A state machine, with a queue that hears what it announces."""

    def __init__(self, name, ministack, simulator, settings, substitutions, approval_seconds=3600):
        self.aws, self.simulator = ministack, simulator
        urllib.request.urlopen(urllib.request.Request(f"{ministack.url}/_ministack/reset", method="POST"))
        there = {f"AWS_ENDPOINT_URL_{service}": simulator.url for service in ("EKS", "IAM", "STS", "SCHEDULER")}
        # One parameter of the template sets both.
        approval = {"REQUIRE_APPROVAL": substitutions["RequireApproval"]}
        function = deploy(ministack, {"AWS_ENDPOINT_URL": ministack.url} | there | approval | settings)
        self.sqs, self.states = ministack.client("sqs"), ministack.client("stepfunctions")
        self.queue = self.sqs.create_queue(QueueName="heard")["QueueUrl"]
        sns = ministack.client("sns")
        topic = sns.create_topic(Name="break-glass")["TopicArn"]
        queue_arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
        text = json.dumps(definition(name))
        # MiniStack takes a number here, and no expression.
        text = re.sub(r'"TimeoutSeconds": ("[^"]+"|\d+)', f'"TimeoutSeconds": {approval_seconds}', text)
        for variable, value in {"FunctionArn": function, "TopicArn": topic, "ApprovalTimeoutMinutes": "60", "ToldByTheBus": "false", "ChatFunctionArn": "", **substitutions}.items():
            text = text.replace("${" + variable + "}", value)
        assert "${" not in text
        self.machine = self.states.create_state_machine(
            name=name, definition=text, roleArn="arn:aws:iam::000000000000:role/states"
        )["stateMachineArn"]

    def start(self, event, machine=None):
        return self.states.start_execution(stateMachineArn=machine or self.machine, input=json.dumps(event))["executionArn"]

    def end(self, execution):
        """How it ended: the result, or error and cause."""
        for _ in range(1200):
            shown = self.states.describe_execution(executionArn=execution)
            if shown["status"] != "RUNNING":
                break
            time.sleep(0.05)
        assert shown["status"] in ("SUCCEEDED", "FAILED"), shown["status"]
        return json.loads(shown["output"]) if shown["status"] == "SUCCEEDED" else (shown["error"], shown["cause"])

    def run(self, event):
        return self.end(self.start(event))

    def invoke(self, event, alias=None):
        """The function's own answer, without the workflow."""
        qualifier = {"Qualifier": alias} if alias else {}
        answer = self.aws.client("lambda").invoke(FunctionName="eks-break-glass", Payload=json.dumps(event), **qualifier)
        return json.loads(answer["Payload"].read())

    def executions(self):
        """All of them, the first one first."""
        listed = self.states.list_executions(stateMachineArn=self.machine)["executions"]
        return [execution["executionArn"] for execution in sorted(listed, key=lambda execution: execution["startDate"])]

    def entered(self, execution):
        """The states that it went through."""
        history = self.states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]

    def heard(self):
        """The next announcement."""
        for _ in range(1200):
            for message in self.sqs.receive_message(QueueUrl=self.queue).get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                return message["Body"]
            time.sleep(0.05)
        raise AssertionError("nothing was announced")

    def approve(self, asked, approved=True):
        self.states.send_task_success(taskToken=token(asked), output=json.dumps({"approved": approved, "by": "john"}))

    def refuse(self, asked, why):
        self.states.send_task_failure(taskToken=token(asked), error="ApprovalRefused", cause=why)

    def control(self, path, content=None):
        """What the simulator answers beside AWS's own calls."""
        data = None if content is None else json.dumps(content).encode()
        return json.load(urllib.request.urlopen(urllib.request.Request(f"{self.simulator.url}/_simulator/{path}", data=data)))

    def fault(self, operation, kind, times):
        self.control("faults", {"operation": operation, "kind": kind, "times": times})

    def entries(self):
        return self.simulator.client("eks").list_access_entries(clusterName="prod")["accessEntries"]


def token(message):
    return re.search(r"send-task-success --region [a-z]+-[a-z]+-\d --task-output .* --task-token (\S+)", message)[1]


def names_agree_with_the_code(*tasks):
    """A task that sends an event tries again on exactly the errors that are worth it, and catches every one by its name."""
    errors = json.loads((ROOT / "docs/schemas/contract.json").read_text())["errors"]
    names = {error["name"] for error in errors}
    retryable = {error["name"] for error in errors if error["retryable"]}
    for task in tasks:
        ours, platform = (set(retry["ErrorEquals"]) for retry in task["Retry"])
        assert ours == retryable
        assert all(name.startswith("Lambda.") for name in platform)
        caught = [set(catch["ErrorEquals"]) for catch in task["Catch"]]
        assert caught == [names - retryable, retryable, {"States.ALL"}]
