"""Nobody gets in unseen: the rules, topics and alarms of the template. `tests/interop/test_announcements.py` has them at work."""

import json
import re

import pytest
from cloudformation import ACCOUNT, CONTRACT, REGION, ROOT, TEMPLATE, parameters, resolve

RESOURCES = TEMPLATE["Resources"]
RULES = {name: resource for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Events::Rule"}
ALARMS = {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
ON_THE_BUS = {name: rule for name, rule in RULES.items() if rule.get("Condition") == "BusIsHere"}
CHAT = {"ChatChannel", "ChatRole", "ChatMayLookAtAlarms"}


def targets():
    return [(name, target) for name, rule in RULES.items() for target in rule["Properties"]["Targets"]]


def test_every_kind_of_announcement_is_told_by_one_rule():
    notified = [kind for rule in ON_THE_BUS.values() for kind in rule["Properties"]["EventPattern"]["detail-type"]]
    assert sorted(notified) == sorted(CONTRACT["announcements"])
    for rule in ON_THE_BUS.values():
        assert rule["Properties"]["EventPattern"]["source"] == ["eks-break-glass"]
        assert rule["Properties"]["EventBusName"] == {"Ref": "EventBus"}


def test_each_rule_tells_the_mail_and_the_chat_and_keeps_what_it_cannot_deliver():
    for name, rule in RULES.items():
        mail, chat = rule["Properties"]["Targets"]
        assert (mail["Arn"], chat["Arn"]) == ({"Ref": "Announcements"}, {"Ref": "ChatAnnouncements"}), name
        for target in (mail, chat):
            assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": "UndeliveredAnnouncements.Arn"}}


def test_messages_are_made_of_what_is_always_there():
    """A value that is not there may lose the message. CloudTrail has these of every call; `words` has a text in each field."""
    of_ours = {"$.detail-type", "$.time", "$.detail.requestId"} | {f"$.detail.words.{name}" for name in CONTRACT["announcementWords"]}
    of_cloudtrail = {"$.time", "$.region"} | {
        f"$.detail.{field}" for field in ("eventName", "eventID", "userIdentity.arn", "sourceIPAddress", "requestParameters")
    }
    for name, target in targets():
        paths = set(target["InputTransformer"]["InputPathsMap"].values())
        assert paths <= (of_ours if name in ON_THE_BUS else of_cloudtrail), name


def test_messages_are_such_as_eventbridge_takes():
    """At most 8,192 characters and 100 variables; a text is lines in quotation marks. Source: InputTransformer in its API reference."""
    for name, target in targets():
        transformer = resolve(target["InputTransformer"], parameters(FunctionName="x" * 64))
        template, paths = transformer["InputTemplate"], transformer["InputPathsMap"]
        assert len(template) <= 8192 and len(paths) <= 100
        assert set(re.findall(r"<([\w-]+)>", template)) <= set(paths), name
        if target["Id"] == "mail":
            assert all(isinstance(json.loads(line), str) for line in template.splitlines()), name
        else:
            assert is_custom_notification(json.loads(template)), name


def is_custom_notification(message):
    """Source: "Custom notifications using Amazon Q Developer in chat applications", event schema."""
    content, metadata = message["content"], message["metadata"]
    return (
        (message["version"], message["source"], content["textType"]) == ("1.0", "custom", "client-markdown")
        and set(message) == {"version", "source", "id", "content", "metadata"}
        and {"title", "description"} <= set(content) <= {"textType", "title", "description", "nextSteps", "keywords"}
        and set(metadata) <= {"threadId", "summary", "eventType", "relatedResources", "additionalContext"}
    )


def test_a_mail_of_a_grant_says_who_where_what_why_until_when_and_how_to_take_it_back():
    [mail, _] = RULES["AccessGiven"]["Properties"]["Targets"]
    assert {"cluster", "principal", "policy", "until", "requestedBy", "reason", "time", "undo"} <= set(
        re.findall(r"<(\w+)>", resolve(mail["InputTransformer"]["InputTemplate"], parameters()))
    )


def test_eventbridge_and_the_alarms_of_the_account_publish_and_nobody_else():
    policy = resolve(RESOURCES["AnnouncementsPolicy"]["Properties"], parameters())
    assert policy["Topics"] == [parameters()["Announcements"], parameters()["ChatAnnouncements"]]
    rules, alarms = policy["PolicyDocument"]["Statement"]
    assert rules["Principal"] == {"Service": "events.amazonaws.com"}
    assert "Condition" not in rules, "EventBridge could not meet it, and nothing would be sent"
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert rules["Action"] == alarms["Action"] == "sns:Publish"


def test_the_topics_have_a_key_that_eventbridge_and_cloudwatch_may_use():
    for topic in ("Announcements", "ChatAnnouncements"):
        assert RESOURCES[topic]["Properties"]["KmsMasterKeyId"] == {"Ref": "AnnouncementsKey"}
    key = resolve(RESOURCES["AnnouncementsKey"]["Properties"], parameters())
    statements = {statement["Sid"]: statement for statement in key["KeyPolicy"]["Statement"]}
    services = statements["ServicesThatPublish"]
    assert services["Principal"] == {"Service": ["events.amazonaws.com", "cloudwatch.amazonaws.com"]}
    assert services["Action"] == ["kms:GenerateDataKey*", "kms:Decrypt"] and "Condition" not in services
    own = statements["PublishersOfThisAccountByWayOfSns"]
    assert own["Condition"] == {"StringEquals": {"kms:CallerAccount": ACCOUNT, "kms:ViaService": f"sns.{REGION}.amazonaws.com"}}
    assert key["EnableKeyRotation"] is True


def test_undelivered_announcements_are_kept_for_two_weeks_and_come_over_tls():
    queue = RESOURCES["UndeliveredAnnouncements"]["Properties"]
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600 and queue["SqsManagedSseEnabled"] is True
    rules, tls = resolve(RESOURCES["UndeliveredAnnouncementsPolicy"]["Properties"]["PolicyDocument"]["Statement"], parameters())
    assert rules["Principal"] == {"Service": "events.amazonaws.com"}
    assert rules["Condition"] == {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/*"}}
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize("name", ALARMS)
def test_one_is_an_alarm_that_somebody_hears(name):
    alarm, topic = resolve(ALARMS[name], parameters()), f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call"
    assert (alarm["ComparisonOperator"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("GreaterThanThreshold", 0, 1)
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"] == [f"arn:aws:sns:{REGION}:{ACCOUNT}:eks-break-glass-announcements"]
    assert resolve(ALARMS[name], parameters(AlarmTopicArn=topic))["AlarmActions"] == [topic]


def test_each_alarm_is_on_a_metric_that_is_there():
    """The sets of dimensions are the first one, the first two, and all: `src/platform/log.rs`, and the test of the log in `workflow.rs`."""
    counted = {name for name, unit in CONTRACT["metrics"].items() if unit == "Count"}
    dimensions = CONTRACT["metricDimensions"]
    watched = set()
    for name, alarm in ALARMS.items():
        alarm = resolve(alarm, parameters())
        given = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])}
        watched.add((alarm["Namespace"], alarm["MetricName"]))
        if alarm["Namespace"] == "EksBreakGlass":
            assert alarm["MetricName"] in counted, name
            assert list(given) == dimensions[: len(given)], name
            assert given.get("Action", "revoke") in CONTRACT["actions"], name
        if "FunctionName" in given:
            assert given["FunctionName"] == "eks-break-glass"
        if alarm["Namespace"] == "AWS/States":
            assert given == {"StateMachineArn": parameters()[name.removesuffix("Failed") + "StateMachine"]}
    assert watched >= {
        ("AWS/Lambda", "Invocations"), ("AWS/Lambda", "Errors"), ("EksBreakGlass", "Failures"), ("EksBreakGlass", "NotAnnounced"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"), ("AWS/States", "ExecutionsFailed"), ("EksBreakGlass/eks-break-glass", "ChatFailures"),
    }


def test_what_the_chat_function_could_not_do_is_counted_by_its_audit_lines():
    counting, alarm = (resolve(RESOURCES[name]["Properties"], parameters()) for name in ("ChatFailures", "ChatFailed"))
    assert counting["LogGroupName"] == "ChatFunctionLogGroup"
    [metric] = counting["MetricTransformations"]
    assert (metric["MetricNamespace"], metric["MetricName"]) == (alarm["Namespace"], alarm["MetricName"])
    # What every line has, and what a line of a failure has in them.
    assert counting["FilterPattern"] == '{ $.message = "audit" && $.level = "ERROR" }'
    assert "ERROR" in CONTRACT["logLevels"]


def test_the_dashboard_shows_the_metrics_and_the_audit_of_this_function():
    body = json.loads(resolve(RESOURCES["Dashboard"]["Properties"]["DashboardBody"], parameters(FunctionName="team-a")))
    assert len(body["widgets"]) == 5
    text = json.dumps(body)
    assert "message = 'audit'" in text and "eks-break-glass" not in text, "of this function alone"
    for queue in ("team-a-undelivered", "team-a-undelivered-announcements"):
        assert f'"{queue}"' in text


def test_the_chat_channel_is_made_where_one_is_named_and_can_do_nothing():
    for name in CHAT:
        assert RESOURCES[name]["Condition"] == "ChannelIsTold"
    assert not resolve({"Condition": "ChannelIsTold"}, parameters(SlackWorkspaceId="T0123"))
    assert resolve({"Condition": "ChannelIsTold"}, parameters(SlackWorkspaceId="T0123", SlackChannelId="C0123"))
    channel, role = RESOURCES["ChatChannel"]["Properties"], RESOURCES["ChatRole"]["Properties"]
    most = [{"Ref": "ChatMayLookAtAlarms"}]
    assert channel["GuardrailPolicies"] == role["ManagedPolicyArns"] == most and "Policies" not in role
    [statement] = RESOURCES["ChatMayLookAtAlarms"]["Properties"]["PolicyDocument"]["Statement"]
    assert all(re.fullmatch(r"cloudwatch:(Describe|Get|List)\w+", action) for action in statement["Action"])


def test_rules_are_made_on_a_bus_of_this_account_alone():
    def here(bus):
        return resolve({"Condition": "BusIsHere"}, parameters(EventBus=bus))

    assert here("default") and here("security")
    assert not here("") and not here(f"arn:aws:events:{REGION}:444455556666:event-bus/security")
    substitutions = RESOURCES["RecoverStateMachine"]["Properties"]["DefinitionSubstitutions"]
    assert resolve(substitutions, parameters())["ToldByTheBus"] == "true"
    assert resolve(substitutions, parameters(EventBus=""))["ToldByTheBus"] == "false"
