"""The runbook `recover` on MiniStack's Step Functions, with the function's real binary as the task and the simulated EKS behind it."""

import json
import time
import urllib.request

import yaml
from conftest import ROOT
from emulator import deploy

DEFINITION = yaml.safe_load((ROOT / "statemachines/recover.asl.yaml").read_text())


class Runbook:
    """The runbook in an account of its own, with a queue that hears what it announces."""

    def __init__(self, ministack, simulator, settings, approval, approval_seconds, chat_function=""):
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
        text = json.dumps(DEFINITION)
        for limit in (1500, 3600):
            assert f'"TimeoutSeconds": {limit}' in text
            text = text.replace(f'"TimeoutSeconds": {limit}', f'"TimeoutSeconds": {approval_seconds}')
        substitutions = {"FunctionArn": function, "TopicArn": topic, "RequireApproval": approval, "ChatFunctionArn": chat_function}
        for name, value in substitutions.items():
            text = text.replace("${" + name + "}", value)
        assert "${" not in text
        self.machine = self.states.create_state_machine(
            name="recover", definition=text, roleArn="arn:aws:iam::000000000000:role/states"
        )["stateMachineArn"]

    def start(self, event, machine=None):
        return self.states.start_execution(stateMachineArn=machine or self.machine, input=json.dumps(event))["executionArn"]

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
