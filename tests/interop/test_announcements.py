"""Every change of access is announced: the template, deployed on MiniStack, which others wrote, and what its receivers get of the real function."""

import base64
import json
import re
import time

import pytest
import yaml
from cloudformation import TEMPLATE, parameters, resolve
from conftest import ROOT
from emulator import make_cluster, package, running

CLUSTER = "arn:aws:eks:eu-west-1:000000000000:cluster/prod"
PRINCIPAL = "arn:aws:iam::000000000000:role/new-cluster-admin"
GRANT = {"clusterName": "prod", "principalArn": PRINCIPAL, "reason": "INC-2041", "requestedBy": "jane.doe@example.com"}
POLICY = "AmazonEKSClusterAdminPolicy"


def deployable(given, aws):
    """The template with its code where `sam package` would put it, but for what MiniStack does not take: policies of their own for roles,
    and functions within conditions."""
    template = json.loads(json.dumps(TEMPLATE))
    template["Resources"] = {
        name: resource for name, resource in template["Resources"].items() if resource["Type"] != "AWS::IAM::RolePolicy"
    }
    values = parameters(**given)
    template["Conditions"] = {
        name: {"Fn::Equals": ["true", str(resolve(condition, values)).lower()]} for name, condition in TEMPLATE["Conditions"].items()
    }
    put = aws.client("s3").put_object
    put(Bucket="code", Key="function.zip", Body=package())
    for resource in template["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://code/function.zip"
            properties["Environment"]["Variables"]["AWS_ENDPOINT_URL"] = aws.url
        if resource["Type"] == "AWS::Serverless::StateMachine":
            machine = yaml.safe_load((ROOT / properties["DefinitionUri"]).read_text())
            put(Bucket="code", Key=properties["DefinitionUri"], Body=json.dumps(machine).encode())
            properties["DefinitionUri"] = f"s3://code/{properties['DefinitionUri']}"
    return json.dumps(template)


def deploy(aws, **given):
    s3, cloudformation = aws.client("s3"), aws.client("cloudformation")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="code", Key="template.json", Body=deployable(given, aws).encode())
    cloudformation.create_stack(
        StackName="eks-break-glass",
        TemplateURL=f"{aws.url}/code/template.json",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
    )
    for _ in range(600):
        [stack] = cloudformation.describe_stacks(StackName="eks-break-glass")["Stacks"]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.05)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


class Account:
    """An account with the stack, a cluster, and a queue for each receiver."""

    def __init__(self, aws):
        self.aws = aws
        self.outputs = deploy(aws, WatchedClusters="prod*,payments", Architecture="x86_64")
        make_cluster(aws)
        self.sqs = aws.client("sqs")
        sns, events = aws.client("sns"), aws.client("events")
        raw = {"RawMessageDelivery": "true"}
        self.bus, self.mail, self.chat = (self.queue(name) for name in ("bus", "mail", "chat"))
        events.put_rule(Name="everything", EventPattern=json.dumps({"source": ["eks-break-glass"]}))
        events.put_targets(Rule="everything", Targets=[{"Id": "queue", "Arn": self.bus[1]}])
        for topic, queue in (("AnnouncementsTopicArn", self.mail), ("ChatAnnouncementsTopicArn", self.chat)):
            sns.subscribe(TopicArn=self.outputs[topic], Protocol="sqs", Endpoint=queue[1], Attributes=raw)

    def queue(self, name):
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def send(self, event):
        answer = self.aws.client("lambda").invoke(FunctionName="eks-break-glass", Payload=json.dumps(event))
        return json.loads(answer["Payload"].read())

    def heard(self, queue):
        """The next message of a queue."""
        for _ in range(200):
            for message in self.sqs.receive_message(QueueUrl=queue[0]).get("Messages", []):
                self.sqs.delete_message(QueueUrl=queue[0], ReceiptHandle=message["ReceiptHandle"])
                return message["Body"]
            time.sleep(0.05)
        raise AssertionError("nothing was heard")

    def heard_by_all(self):
        mail = [json.loads(line) for line in self.heard(self.mail).splitlines()]
        return json.loads(self.heard(self.bus)), mail, json.loads(self.heard(self.chat))


@pytest.fixture(scope="module")
def account():
    with running() as aws:
        yield Account(aws)


REVOKE = {"action": "revoke", "clusterName": "prod", "principalArn": PRINCIPAL}


@pytest.fixture(autouse=True)
def nothing_is_left(account):
    yield
    if account.send(REVOKE)["status"] == "REVOKED":
        for queue in (account.bus, account.mail, account.chat):
            while "EKS access revoked" not in account.heard(queue):
                pass


def test_a_grant_arrives_in_full_on_the_bus_in_the_mail_and_in_the_chat(account):
    result = account.send(GRANT | {"duration": "1h"})
    assert result["status"] == "GRANTED", result
    event, mail, chat = account.heard_by_all()
    assert (event["source"], event["detail-type"]) == ("eks-break-glass", "EKS access granted")
    detail = event["detail"]
    words = detail.pop("words")
    expected = {field: value for field, value in result.items() if field != "kubeconfig"}
    assert detail == expected | {"version": 1, "reason": "INC-2041", "requestedBy": "jane.doe@example.com"}
    assert words["until"] == result["expiresAt"]
    assert mail[9] == "GRANTED"
    assert mail[:9] == [
        "EKS access granted",
        " ",
        f"Cluster: {CLUSTER}",
        f"Principal: {PRINCIPAL}",
        f"Policy: {POLICY}",
        f"Until: {result['expiresAt']}",
        "Asked by (as claimed): jane.doe@example.com",
        "Because: INC-2041",
        f"At: {event['time']}, request {result['requestId']}",
    ]
    assert (chat["version"], chat["source"], chat["content"]["textType"]) == ("1.0", "custom", "client-markdown")
    assert chat["content"]["title"] == "EKS access granted"
    for said in (CLUSTER, PRINCIPAL, POLICY, result["expiresAt"], "jane.doe@example.com", "INC-2041"):
        assert said in chat["content"]["description"]
    assert chat["metadata"]["threadId"] == f"{CLUSTER} {PRINCIPAL}"
    assert chat["metadata"]["additionalContext"] == {"cluster": CLUSTER, "principal": PRINCIPAL}, "what custom actions know as variables"


def test_the_command_of_the_mail_takes_the_grant_back_and_that_is_told_in_the_same_thread(account):
    account.send(GRANT)
    _, mail, chat = account.heard_by_all()
    thread, command = chat["metadata"]["threadId"], mail[-1]
    options = dict(re.findall(r"--([a-z-]+) (\S+)", command))
    assert command.startswith("aws lambda invoke ") and options["region"] == "eu-west-1"
    assert options["payload"] in chat["content"]["nextSteps"][0]
    answer = account.aws.client("lambda").invoke(
        FunctionName=options["function-name"], Payload=base64.b64decode(options["payload"], validate=True)
    )
    assert json.loads(answer["Payload"].read())["status"] == "REVOKED"
    event, mail, chat = account.heard_by_all()
    assert event["detail-type"] == mail[0] == chat["content"]["title"] == "EKS access revoked"
    assert mail[-1].startswith("REVOKED; ACCESS_MAY_PERSIST: ") and mail[-1] in chat["content"]["description"]
    assert chat["metadata"]["threadId"] == thread


def test_a_refusal_is_told_with_the_setting_that_forbids_it(account):
    assert account.send(GRANT | {"policyArn": "AmazonEKSViewPolicy"})["errorType"] == "RequestDenied"
    event, mail, chat = account.heard_by_all()
    assert event["detail-type"] == mail[0] == chat["content"]["title"] == "EKS access refused"
    assert "ALLOWED_POLICIES" in mail[-1] and "ALLOWED_POLICIES" in chat["content"]["description"]
    assert "Policy: AmazonEKSViewPolicy" in mail


@pytest.mark.parametrize(
    "reason",
    ['"', '"}', "\\", '\\"', "<undo>", "<!channel>", "${x}", "`id`", "'; id", "*_~"],
)
def test_no_reason_silences_or_forges_a_message(account, reason):
    account.send(GRANT | {"reason": reason, "requestedBy": reason})
    event, mail, chat = account.heard_by_all()
    assert event["detail"]["reason"] == event["detail"]["requestedBy"] == reason
    assert len(mail) == 13 and f"Principal: {PRINCIPAL}" == mail[3] and mail[-1].startswith("aws lambda invoke")
    assert [line.partition(":")[0] for line in mail[2:9]] == [
        "Cluster", "Principal", "Policy", "Until", "Asked by (as claimed)", "Because", "At"
    ]
    assert chat["content"]["title"] == "EKS access granted"


def test_the_deployed_runbook_does_not_tell_again_what_the_function_has_told(account):
    states = account.aws.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=account.outputs["RecoverStateMachineArn"], input=json.dumps(GRANT))
    for _ in range(600):
        shown = states.describe_execution(executionArn=execution["executionArn"])
        if shown["status"] != "RUNNING":
            break
        time.sleep(0.05)
    assert json.loads(shown["output"])["status"] == "GRANTED", shown
    assert account.heard(account.mail).startswith('"EKS access granted"')
    account.send(REVOKE)
    assert account.heard(account.mail).startswith('"EKS access revoked"'), "nothing came in between"
    account.sqs.purge_queue(QueueUrl=account.bus[0])
    account.sqs.purge_queue(QueueUrl=account.chat[0])


ROLE_ARN, USER_ARN = "arn:aws:iam::000000000000:role/terraform", "arn:aws:iam::000000000000:user/mallory"


def call(issuer, name="CreateAccessEntry", cluster="prod", **other):
    """As CloudTrail tells of a call. `issuer` is the role of a session, or none."""
    identity = {"type": "IAMUser", "arn": USER_ARN}
    if issuer:
        session = issuer.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/session"
        identity = {"type": "AssumedRole", "arn": session, "sessionContext": {"sessionIssuer": {"type": "Role", "arn": issuer}}}
    detail = {
        "eventVersion": "1.09",
        "eventSource": "eks.amazonaws.com",
        "eventName": name,
        "eventID": "8a1f",
        "sourceIPAddress": "192.0.2.7",
        "userIdentity": identity,
        "requestParameters": {"name": cluster, "principalArn": PRINCIPAL},
    }
    return {"Source": "aws.eks", "DetailType": "AWS API Call via CloudTrail", "Detail": json.dumps(detail | other)}


def rules_on_cloudtrail(account):
    """The names of the two rules: on calls of the function's role, and on those of others."""
    rules = [rule for rule in account.aws.client("events").list_rules()["Rules"] if "CloudTrail" in rule.get("Description", "")]
    return {"others" if "another identity" in rule["Description"] else "function": rule for rule in rules}


def matched(account, event):
    """Which of them match, by the emulator's TestEventPattern."""
    envelope = {
        "id": "1", "account": "000000000000", "time": "2026-11-23T18:00:00Z", "region": "eu-west-1", "resources": [],
        "source": event["Source"], "detail-type": event["DetailType"], "detail": json.loads(event["Detail"]),
    }
    test = account.aws.client("events").test_event_pattern
    rules = rules_on_cloudtrail(account).items()
    return {name for name, rule in rules if test(EventPattern=rule["EventPattern"], Event=json.dumps(envelope))["Result"]}


@pytest.mark.parametrize(
    "name",
    [
        "CreateAccessEntry", "UpdateAccessEntry", "DeleteAccessEntry", "AssociateAccessPolicy", "DisassociateAccessPolicy",
        "UpdateClusterConfig",
    ],
)
def test_what_cloudtrail_sees_the_functions_role_do_is_told_whatever_the_function_says(account, name):
    role = account.outputs["FunctionRoleArn"]
    assert matched(account, call(role, name)) == {"function"}
    assert matched(account, call(role, name, cluster="staging")) == {"function"}, "wherever it is"
    assert matched(account, call(ROLE_ARN, name)) == {"others"}
    assert matched(account, call(None, name)) == {"others"}, "a user has no session"


def test_of_others_only_changes_on_the_watched_clusters_are_told(account):
    for cluster in ("prod", "prod-2", "payments"):
        assert matched(account, call(ROLE_ARN, cluster=cluster)) == {"others"}
    for cluster in ("staging", "payments-2", "Prod"):
        assert matched(account, call(ROLE_ARN, cluster=cluster)) == set()
    for name in ("DescribeCluster", "ListAccessEntries"):
        assert matched(account, call(ROLE_ARN, name)) == matched(account, call(account.outputs["FunctionRoleArn"], name)) == set()
    assert matched(account, call(ROLE_ARN, eventSource="iam.amazonaws.com")) == set()


@pytest.mark.parametrize(("rule", "words"), [("function", "by the role of"), ("others", "by another identity than")])
def test_what_cloudtrail_saw_can_be_read(account, rule, words):
    """Nobody can put events of AWS on a bus, so the rule's targets are given one of another source."""
    events, watching = account.aws.client("events"), rules_on_cloudtrail(account)[rule]["Name"]
    events.put_rule(Name="as-if", EventPattern=json.dumps({"source": ["witness"]}))
    events.put_targets(Rule="as-if", Targets=events.list_targets_by_rule(Rule=watching)["Targets"])
    events.put_events(Entries=[call(ROLE_ARN, "AssociateAccessPolicy") | {"Source": "witness"}])
    mail = [json.loads(line) for line in account.heard(account.mail).splitlines()]
    chat = json.loads(account.heard(account.chat))
    assert mail[0] == chat["content"]["title"] == f"CloudTrail: AssociateAccessPolicy {words} eks-break-glass"
    for said in ("prod", PRINCIPAL, "192.0.2.7", "assumed-role/terraform/session"):
        assert said in mail[2] + mail[3] and said in chat["content"]["description"]


def test_the_alarms_and_the_dashboard_are_there(account):
    cloudwatch = account.aws.client("cloudwatch")
    alarms = {alarm["AlarmName"].removeprefix("eks-break-glass-") for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert alarms >= {"used", "errors", "failed", "revoke-failed", "not-announced", "undelivered", "undelivered-announcements"}
    assert "eks-break-glass" in [entry["DashboardName"] for entry in cloudwatch.list_dashboards()["DashboardEntries"]]


def test_the_commands_that_let_a_service_in_and_that_stop_everything_are_such_as_lambda_takes(account):
    [let_in] = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/operators.md").read_text(), re.S)
    [stop] = re.findall(r"`aws (lambda .*?)`", (ROOT / "SECURITY.md").read_text())
    account.aws.cli(*let_in.replace("\\\n", " ").split()[1:])
    policy = json.loads(account.aws.cli("lambda", "get-policy", "--function-name", "eks-break-glass")["Policy"])
    [statement] = policy["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert {"aws:SourceAccount", "aws:SourceArn"} <= {key.replace("AWS:", "aws:") for keys in statement["Condition"].values() for key in keys}
    account.aws.cli("lambda", "remove-permission", "--function-name", "eks-break-glass", "--statement-id", statement["Sid"])
    assert account.aws.cli(*stop.split()) == {"ReservedConcurrentExecutions": 0}
    account.aws.cli("lambda", "delete-function-concurrency", "--function-name", "eks-break-glass")
