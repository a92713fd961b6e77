"""The whole conversation: what people type and click in Slack, signed by Slack's SDK → Function URL → the chat function's real binary →
the runbook on MiniStack's Step Functions → the function's real binary → the simulated EKS; and back to the channel."""

import datetime
import json
import time

import pytest
from conftest import ACCOUNT, ADMIN, started
from emulator import running
from previews import same_as_preview
from runbook import Runbook
from slack import TEAM, Slack, buttons, check, says

JANE, JOHN, GRACE, EVE = "U0JANE", "U0JOHN", "U0GRACE", "U0EVE"
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
CHAT = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:eks-break-glass-chat"
SCHEDULES = {"SCHEDULE_GROUP": "eks-break-glass", "SCHEDULE_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/schedules"}
ASK = "grant prod me for 1h because INC-2041: the SSO role was replaced"


@pytest.fixture(scope="module")
def ministack(tmp_path_factory):
    # MiniStack does not let a callback task fail with its function, as Step Functions does; this is how a test has it fail.
    mock = tmp_path_factory.mktemp("mock") / "mock.json"
    down = {"0": {"Throw": {"Error": "ServiceUnavailable", "Cause": "chat could not be asked"}}}
    cases = {"ChatIsDown": {"AskInChat": "Down"}}
    mock.write_text(json.dumps({"StateMachines": {"recover": {"TestCases": cases}}, "MockedResponses": {"Down": down}}))
    with running(access_key=ACCOUNT, SFN_WAIT_SCALE="0", SFN_MOCK_CONFIG=str(mock)) as aws:
        yield aws


class Workspace(Slack):
    """Slack, with the app installed."""

    def __init__(self, ministack, simulator, approval="false", approval_seconds=3600, told_by_the_bus="false"):
        super().__init__(SECRET)
        self.groups = {"S0ONCALL": [GRACE]}
        there = {"AWS_ENDPOINT_URL_SCHEDULER": ministack.url} | SCHEDULES
        substitutions = {"RequireApproval": approval, "ToldByTheBus": told_by_the_bus, "ChatFunctionArn": CHAT}
        self.runbook = Runbook("recover", ministack, simulator, there, substitutions, approval_seconds)
        ministack.client("scheduler").create_schedule_group(Name="eks-break-glass")
        aliases = {"clusters": {"main": "prod"}, "principals": {JANE: ADMIN, "oncall": ADMIN}}
        variables = {
            "RECOVER_STATE_MACHINE_ARN": self.runbook.machine,
            "SLACK_TEAMS": TEAM,
            "CHAT_APPROVERS": f"{JOHN},S0ONCALL",
            "CHAT_ALIASES": json.dumps(aliases),
        }
        self.install(ministack, "eks-break-glass-chat", variables)
        self.logs = ministack.client("logs")

    def ask(self, user=JANE, text=ASK):
        """The `ts` of the request for approval that a command leads to."""
        before = set(self.shown)
        status, answer = self.type(text, user)
        assert status == 200 and "Started" in answer, answer
        return self.until(lambda slack: next((ts for ts, message in slack.shown.items() if ts not in before and buttons(message)), None))

    def ended(self, which=-1):
        return self.runbook.end(self.runbook.executions()[which])

    def whisper(self, *words):
        return self.until(lambda slack: next((message for message in slack.whispered if says(message, *words)), None))

    def audit(self, function, number):
        """The audit lines of a function's log, once there are so many."""

        def lines(_):
            logged = self.logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
            lines = [json.loads(line["message"]) for line in logged if line["message"].startswith("{")]
            lines = [line for line in lines if line.get("message") == "audit"]
            return lines if len(lines) == number else None

        return self.until(lines)

    def granted(self):
        """The `ts` of the outcome of a grant that was asked for and approved."""
        ts = self.ask()
        assert self.click(ts, "approve", JOHN) == (200, "")
        assert self.ended()["status"] == "GRANTED"
        return self.message("is granted")


@pytest.fixture
def slack(ministack, request):
    for simulator in started("api-mode"):
        workspace = Workspace(ministack, simulator, **getattr(request, "param", {}))
        yield workspace
        workspace.close()
        for message in workspace.posted:
            check(message)
        assert max(workspace.answers.values(), default=0) <= 3, "Slack takes five"


def with_(**given):
    return pytest.mark.parametrize("slack", [given], indirect=True, ids=[""])


def test_from_the_command_to_the_grant_and_back_again(slack):
    status, answer = slack.type(ASK, JANE)
    assert status == 200
    same_as_preview("1-started", json.loads(answer), "only visible to you")
    ts = slack.message("is asked for")
    asked = slack.shown[ts]
    for words in (f"<@{JANE}>", ADMIN, "INC-2041: the SSO role was replaced", "1h", "AmazonEKSClusterAdminPolicy"):
        assert says(asked, words), asked
    assert slack.runbook.entries() == [], "nothing is done before an approver agrees"
    same_as_preview("2-asked", asked)

    assert slack.click(ts, "approve", JOHN) == (200, "")
    approved = next(message for message in slack.posted if says(message, "Approved by", f"<@{JOHN}>"))
    assert approved["replace_original"] and not buttons(approved)
    same_as_preview("3-approved", approved)

    result = slack.ended()
    assert (result["status"], slack.runbook.entries()) == ("GRANTED", [ADMIN])
    slack.until(lambda slack: slack.threads.get(ts))
    assert list(slack.shown) == [ts], "one message, and the outcome took its place"
    [undo] = buttons(slack.shown[ts])
    assert undo["action_id"].endswith("undo") and says(slack.shown[ts], f"<@{JANE}>", f"<@{JOHN}>", "<!date^")
    [details] = slack.threads[ts]
    assert says(details, "AssociateAccessPolicy", "update-kubeconfig")
    same_as_preview("4-granted", slack.shown[ts])
    same_as_preview("5-details", details, "in the thread")

    [execution] = slack.runbook.executions()
    assert execution.rpartition(":")[2].startswith("slack-")
    assert len(slack.runbook.entered(execution)) == 13 + 2, "docs/cost.md says how many more"
    announced = slack.runbook.heard()
    jane, john = f"slack:{TEAM}/{JANE}", f"slack:{TEAM}/{JOHN}"
    assert f"Asked by: {jane}" in announced and f"Approved by: {john}" in announced
    assert slack.audit("eks-break-glass", 2)[-1]["requestedBy"] == jane
    audited = {(line["status"], line["requestedBy"], line.get("by")) for line in slack.audit("eks-break-glass-chat", 4)}
    assert audited == {("STARTED", jane, None), ("ASKED", jane, None), ("APPROVED", jane, john), ("POSTED", jane, None)}
    entry = slack.runbook.simulator.client("eks").describe_access_entry(clusterName="prod", principalArn=ADMIN)["accessEntry"]
    assert jane in entry["tags"].values()


def test_undo_takes_it_back(slack):
    ts = slack.granted()
    assert slack.click(ts, "undo", EVE) == (200, "")
    slack.until(lambda slack: says(slack.shown[ts], "is revoked"))
    assert slack.runbook.entries() == [] and not buttons(slack.shown[ts])
    assert slack.ended()["status"] == "REVOKED"
    assert "WaitForTheClick" in slack.runbook.entered(slack.runbook.executions()[-1]), "or the click's own message may come last"
    assert f"Asked by: slack:{TEAM}/{EVE}" in [slack.runbook.heard(), slack.runbook.heard()][1]
    same_as_preview("6-revoked", slack.shown[ts])


def test_the_access_ends_by_itself(slack, ministack):
    """The hour is made shorter; what was scheduled is delivered as it stands."""
    slack.granted()
    scheduler = ministack.client("scheduler")
    [listed] = scheduler.list_schedules(GroupName="eks-break-glass")["Schedules"]
    schedule = scheduler.get_schedule(GroupName="eks-break-glass", Name=listed["Name"])
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
    fields = ("GroupName", "Name", "FlexibleTimeWindow", "ActionAfterCompletion", "Target")
    scheduler.update_schedule(**{field: schedule[field] for field in fields}, ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})")
    for _ in range(600):
        if not slack.runbook.entries():
            return
        time.sleep(0.05)
    raise AssertionError("the access has not ended")


def test_what_is_refused_is_not_done_and_the_requester_is_told(slack):
    ts = slack.ask()
    assert slack.click(ts, "refuse", JOHN) == (200, "")
    assert slack.ended()[0] == "ApprovalRefused"
    assert says(slack.shown[ts], "Refused by", f"<@{JOHN}>") and not buttons(slack.shown[ts])
    same_as_preview("7-refused", slack.whisper("ApprovalRefused"), "only visible to you")
    assert slack.runbook.entries() == []


@pytest.mark.parametrize(("user", "words"), [(JANE, "your own request"), (EVE, "not among those")])
def test_nobody_approves_their_own_request_nor_without_leave(slack, user, words):
    ts = slack.ask()
    for action in ("approve", "refuse"):
        assert slack.click(ts, action, user) == (200, "")
    slack.until(lambda slack: len([message for message in slack.whispered if says(message, words)]) == 2)
    assert buttons(slack.shown[ts]), "the request still waits"
    assert slack.runbook.entries() == []
    slack.click(ts, "approve", JOHN)
    assert slack.ended()["status"] == "GRANTED"


def test_one_of_a_user_group_may_approve(slack):
    ts = slack.ask()
    slack.click(ts, "approve", GRACE)
    assert slack.ended()["status"] == "GRANTED"


def test_a_second_click_does_nothing(slack):
    ts = slack.ask()
    again = slack.clicked(ts, "refuse", GRACE)
    slack.click(ts, "approve", JOHN)
    assert slack.ended()["status"] == "GRANTED"
    assert slack.send(again) == (200, "")
    slack.whisper("already been answered")
    assert slack.runbook.entries() == [ADMIN]


@with_(approval_seconds=1)
def test_an_approval_that_does_not_come_in_time_is_none_and_a_late_click_does_nothing(slack):
    ts = slack.ask()
    assert slack.ended()[0] == "ApprovalTimedOut"
    same_as_preview("8-timed-out", slack.whisper("Nobody has approved", "ask again"), "only visible to you")
    assert slack.click(ts, "approve", JOHN) == (200, "")
    slack.whisper("already been answered")
    assert slack.runbook.entries() == []


def test_a_button_of_another_message_or_of_nobodys_making_does_nothing(slack):
    first = slack.granted()
    ts = slack.ask(text="extend prod me for 2h because still at it")
    [undo] = buttons(slack.shown[first])
    [approve, _] = buttons(slack.shown[ts])
    value = approve["value"]
    forged = ["", "x", value[:-1], value + "x", value.swapcase(), undo["value"], json.dumps({"t": "token", "u": "x", "e": 9999999999})]
    for value in forged:
        assert slack.click(ts, "approve", JOHN, value=value) == (200, "")
    slack.until(lambda slack: len([message for message in slack.whispered if says(message, "not made by this app")]) == len(forged))
    assert buttons(slack.shown[ts]), "the request still waits"
    slack.click(ts, "approve", JOHN)
    assert slack.ended()["status"] == "GRANTED"
    slack.message("is extended")


def test_the_same_command_sent_again_by_slack_starts_nothing_more(slack):
    trigger = slack.trigger()
    for _ in range(2):
        assert slack.type("inspect prod", JANE, trigger_id=trigger)[0] == 200
    assert len(slack.runbook.executions()) == 1


def test_what_changes_nothing_needs_nobody(slack):
    slack.type("inspect main me", JANE)
    same_as_preview("9-inspected", slack.whisper("Who gets into prod"), "only visible to you")
    slack.type("revoke prod oncall", JANE)
    slack.whisper("no such access")
    slack.type("list prod", EVE)
    slack.whisper("Nobody has been let in")
    assert [slack.ended(n)["status"] for n in range(3)] == ["INSPECTED", "NOTHING_TO_REVOKE", "INSPECTED"]
    assert not any("WaitForTheClick" in slack.runbook.entered(execution) for execution in slack.runbook.executions()), "nobody has clicked"
    assert slack.shown == {}


@with_(told_by_the_bus="true")
def test_what_the_bus_has_told_is_told_in_chat_all_the_same(slack):
    slack.type("revoke prod me", JANE)
    slack.whisper("no such access")


@with_(approval="true")
def test_where_everything_needs_approval_a_revoke_does_too(slack):
    slack.granted()
    ts = slack.ask(text="revoke prod me")
    assert slack.runbook.entries() == [ADMIN]
    slack.click(ts, "approve", JOHN)
    assert slack.ended()["status"] == "REVOKED"


def test_what_cannot_be_done_is_told_in_the_functions_words(slack):
    slack.type("grant nope me for 1h because INC-2041", JANE)
    reply = slack.whisper("ClusterNotFound")
    assert says(reply, "Nothing was changed.") and not says(reply, "errorType")
    assert slack.ended()[0] == "ClusterNotFound"
    same_as_preview("10-failed", reply, "only visible to you")


def test_help_and_what_is_not_understood_start_nothing(slack):
    status, answer = slack.type("help", JANE)
    same_as_preview("11-help", json.loads(answer), "only visible to you")
    for text in ("grnat prod me", "grant prod me for 1h", "grant prod nobody because x", "grant prod me for 1d because x"):
        status, answer = slack.type(text, JANE)
        assert status == 200 and says(json.loads(answer), "The right form"), answer
    assert slack.runbook.executions() == []


def test_another_workspace_may_not_ask(slack):
    status, answer = slack.type(ASK, JANE, team_id="T0OTHER")
    assert status == 200 and "SLACK_TEAMS" in answer
    assert slack.runbook.executions() == []


def test_where_chat_cannot_be_asked_the_topic_is(slack):
    chat = {"team": TEAM, "channel": "C1", "user": JANE, "command": "grant", "responseUrl": "https://example.com/", "threadTs": None}
    event = {"clusterName": "prod", "principalArn": ADMIN, "reason": "INC-2041"}
    execution = slack.runbook.start(event | {"chat": chat}, slack.runbook.machine + "#ChatIsDown")
    asked = slack.runbook.heard()
    assert "send-task-success" in asked and slack.runbook.entries() == []
    slack.runbook.approve(asked)
    assert slack.runbook.end(execution)["status"] == "GRANTED", "and an outcome that cannot be posted revokes nothing"


def test_a_new_signing_secret_needs_no_deployment(slack, ministack):
    assert slack.type("help", JANE)[0] == 200
    slack.secret = "the-next-signing-secret"
    assert slack.type("help", JANE)[0] == 401
    ministack.client("secretsmanager").put_secret_value(SecretId="slack", SecretString=slack.secret)
    for _ in range(300):
        status, _ = slack.type("help", JANE)
        if status == 200:
            return
        time.sleep(0.1)
    raise AssertionError("the new secret was not read")
