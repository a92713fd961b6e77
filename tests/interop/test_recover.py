"""The runbook `recover`, run: on MiniStack's Step Functions, with the function's real binary as the task and the simulated EKS behind it."""

import pytest
from conftest import ACCOUNT, ADMIN, started
from emulator import running
from runbook import Runbook, definition, names_agree_with_the_code

SCHEDULES = {"SCHEDULE_GROUP": "eks-break-glass", "SCHEDULE_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/schedules"}
GRANT = {"clusterName": "prod", "principalArn": ADMIN, "requestedBy": "jane.doe@example.com", "reason": "INC-2041"}


@pytest.fixture(scope="module")
def ministack():
    # In the account of the simulated EKS. Waits are as short as they can be: what is waited for is AWS, and that is simulated.
    with running(access_key=ACCOUNT, SFN_WAIT_SCALE="0") as aws:
        yield aws


@pytest.fixture
def runbook(ministack, request):
    given = {"scenario": "api-mode", "mode_change": 0, "settings": {}, "approval": "false", "approval_seconds": 3600, "told_by_the_bus": "false"}
    given |= getattr(request, "param", {})
    for simulator in started(given["scenario"], given["mode_change"]):
        approval = {"RequireApproval": given["approval"], "ToldByTheBus": given["told_by_the_bus"], "ChatFunctionArn": ""}
        yield Runbook("recover", ministack, simulator, given["settings"], approval, given["approval_seconds"])


def with_(**given):
    return pytest.mark.parametrize("runbook", [given], indirect=True, ids=[""])


def test_a_straight_grant_ends_in_the_functions_result_and_is_announced(runbook):
    result = runbook.run(GRANT)
    assert result["status"] == "GRANTED" and result["undo"]["action"] == "revoke"
    assert runbook.entries() == [ADMIN]
    [execution] = runbook.executions()
    assert len(runbook.entered(execution)) == 10, "docs/cost.md says how many"
    announced = runbook.heard()
    for words in ("GRANTED", ADMIN, "jane.doe@example.com", "INC-2041", "it is revoked", "restore"):
        assert words in announced, announced
    assert runbook.run(GRANT)["status"] == "ALREADY_GRANTED"


@with_(scenario="sso-role-replaced", mode_change=1)
def test_a_change_of_mode_is_looked_at_again_until_it_is_through(runbook):
    result = runbook.run(GRANT | {"waitSeconds": 0})
    assert result["status"] == "GRANTED", result
    [execution] = runbook.executions()
    assert "WaitForTheCluster" in runbook.entered(execution), "it was still in progress at first"


@with_(told_by_the_bus="true")
def test_what_the_function_tells_by_the_bus_the_runbook_does_not_tell_again(runbook):
    assert runbook.run(GRANT)["status"] == "GRANTED"
    runbook.run(GRANT | {"durration": "1h"})
    assert runbook.heard().startswith("InvalidRequest"), "nothing came before the failure, which is not announced of"


@with_(told_by_the_bus="true", settings={"EVENT_BUS": "default", "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:9"})
def test_what_the_bus_could_not_be_told_the_runbook_tells(runbook):
    """Nothing listens where the bus is looked for."""
    assert [warning["code"] for warning in runbook.run(GRANT)["warnings"]] == ["AWS_AUTH_OVERRIDDEN", "ANNOUNCEMENT_FAILED"]
    assert runbook.heard().startswith("GRANTED")


@with_(told_by_the_bus="true", approval="true")
def test_who_has_approved_is_told_by_the_runbook_in_any_case(runbook):
    execution = runbook.start(GRANT)
    runbook.approve(runbook.heard())
    assert runbook.end(execution)["status"] == "GRANTED"
    assert "Approved by: john" in runbook.heard()


@with_(approval="true")
def test_with_approval_nothing_is_done_before_it_is_given(runbook):
    execution = runbook.start(GRANT)
    asked = runbook.heard()
    for words in (ADMIN, "jane.doe@example.com", "INC-2041", "AssociateAccessPolicy", "within 60 minutes"):
        assert words in asked, asked
    assert runbook.entries() == []
    runbook.approve(asked)
    assert runbook.end(execution)["status"] == "GRANTED"
    assert len(runbook.entered(execution)) == 13, "docs/cost.md says how many"
    assert "Approved by: john" in runbook.heard()


@with_(approval="true")
def test_what_is_refused_is_not_done(runbook):
    execution = runbook.start(GRANT)
    runbook.refuse(runbook.heard(), "not tonight")
    error, cause = runbook.end(execution)
    assert error == "ApprovalRefused" and "not tonight" in cause and "nothing was changed" in cause
    assert runbook.entries() == []
    assert "not tonight" in runbook.heard()


@with_(approval="true")
def test_an_approval_that_cannot_be_asked_for_is_not_said_to_be_refused(runbook):
    written = runbook.states.describe_state_machine(stateMachineArn=runbook.machine)["definition"]
    runbook.states.update_state_machine(stateMachineArn=runbook.machine, definition=written.replace(":break-glass", ":no-such-topic"))
    error, cause = runbook.run(GRANT)
    assert error == "ApprovalRefused" and cause.startswith("approval could not be asked for") and "nothing was changed" in cause
    assert runbook.entries() == []


@with_(approval="true")
def test_an_answer_that_does_not_say_yes_is_no(runbook):
    execution = runbook.start(GRANT)
    runbook.approve(runbook.heard(), approved="perhaps")
    assert runbook.end(execution)[0] == "ApprovalRefused"
    assert runbook.entries() == []


@with_(approval="true", approval_seconds=1)
def test_an_approval_that_does_not_come_in_time_is_none(runbook):
    error, cause = runbook.run(GRANT)
    assert error == "ApprovalTimedOut" and "start the execution again" in cause
    assert runbook.entries() == []


def let_in(runbook):
    """Another owner grants the access that is asked for."""
    eks = runbook.simulator.client("eks")
    eks.create_access_entry(clusterName="prod", principalArn=ADMIN)
    policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    eks.associate_access_policy(clusterName="prod", principalArn=ADMIN, policyArn=policy, accessScope={"type": "cluster"})


@with_(approval="true")
@pytest.mark.parametrize(
    ("event", "status"),
    [(GRANT, "ALREADY_GRANTED"), ({"action": "revoke", "clusterName": "prod", "principalArn": ADMIN}, "NOTHING_TO_REVOKE")],
)
def test_where_nothing_is_to_be_done_nobody_is_asked_and_nothing_is_sent(runbook, event, status):
    """Access that is revoked after the plan would be granted again, without approval."""
    if status == "ALREADY_GRANTED":
        let_in(runbook)
    execution = runbook.start(event)
    result = runbook.end(execution)
    assert result["status"] == status
    assert result["verification"]["controlPlane"] is None and result["undo"] is None, "the plan proves nothing, and gave nothing"
    assert result["nextSteps"] == [] and "plannedStatus" not in result
    assert not {"AskForApproval", "Act"} & set(runbook.entered(execution))


def test_what_comes_from_chat_and_has_nothing_to_approve_is_not_sent_either(runbook):
    let_in(runbook)
    execution = runbook.start(GRANT | {"chat": {}})
    assert runbook.end(execution)["status"] == "ALREADY_GRANTED"
    assert "Act" not in runbook.entered(execution)


@with_(approval="true", settings=SCHEDULES)
def test_the_revoke_of_a_grant_that_was_extended_has_nothing_to_approve_and_is_not_said_to_have_found_nothing(runbook):
    execution = runbook.start(GRANT | {"duration": "1h"})
    runbook.approve(runbook.heard())
    granted = runbook.end(execution)
    before_the_extension = granted["undo"] | {"expiresAt": "2020-01-01T00:00:00Z"}
    assert runbook.run(before_the_extension)["status"] == "SUPERSEDED"
    assert runbook.entries() == [ADMIN]


@with_(approval="true")
def test_where_everything_needs_approval_an_inspection_and_a_dry_run_do_not(runbook):
    assert runbook.run({"action": "inspect", "clusterName": "prod"})["status"] == "INSPECTED"
    let_in(runbook)
    assert runbook.run(GRANT | {"dryRun": True})["status"] == "PLANNED"


@with_(approval="true")
def test_with_approval_the_function_refuses_a_grant_that_goes_around_the_workflow(runbook):
    refused = runbook.invoke(GRANT)
    assert refused["errorType"] == "RequestDenied" and "REQUIRE_APPROVAL" in refused["errorMessage"]
    assert runbook.entries() == []
    assert runbook.invoke(GRANT | {"dryRun": True})["status"] == "PLANNED"


def test_the_alias_of_scheduler_accepts_nothing_but_revokes(runbook):
    for event in (GRANT, {"action": "inspect", "clusterName": "prod"}):
        assert runbook.invoke(event, "revoke")["errorType"] == "RequestDenied"
    runbook.run(GRANT)
    assert runbook.invoke({"action": "revoke", "clusterName": "prod", "principalArn": ADMIN}, "revoke")["status"] == "REVOKED"
    assert runbook.entries() == []


@with_(approval="true", settings=SCHEDULES)
def test_a_revoke_is_asked_for_too_and_goes_to_the_function_without_alias(runbook):
    execution = runbook.start(GRANT | {"duration": "1h"})
    runbook.approve(runbook.heard())
    granted = runbook.end(execution)
    assert runbook.heard().startswith("GRANTED")
    execution = runbook.start(granted["undo"])
    runbook.approve(runbook.heard())
    assert runbook.end(execution)["status"] == "REVOKED"
    assert runbook.entries() == []


EMERGENCY = GRANT | {"emergency": True, "duration": "30m"}


@with_(approval="true", settings=SCHEDULES | {"EMERGENCY_MAX_DURATION": "1h"})
def test_an_emergency_waits_for_no_approval(runbook):
    execution = runbook.start(EMERGENCY)
    assert runbook.end(execution)["status"] == "GRANTED"
    assert "AskForApproval" not in runbook.entered(execution)
    assert "Approved by: nobody was asked" in runbook.heard()


@with_(approval="true", settings=SCHEDULES | {"EMERGENCY_MAX_DURATION": "0"})
def test_an_emergency_is_refused_unless_the_settings_allow_it(runbook):
    assert runbook.run(EMERGENCY)[0] == "RequestDenied"
    assert runbook.entries() == []


@with_(approval="true", settings=SCHEDULES | {"EMERGENCY_MAX_DURATION": "1h"})
def test_an_emergency_from_chat_waits_for_an_approval(runbook):
    execution = runbook.start(EMERGENCY | {"chat": {}})
    asked = runbook.heard()
    assert runbook.entries() == []
    runbook.approve(asked)
    assert runbook.end(execution)["status"] == "GRANTED"


def test_a_revoke_from_chat_of_access_that_the_function_has_not_granted_needs_an_approval(runbook):
    let_in(runbook)
    revoke = {"action": "revoke", "clusterName": "prod", "principalArn": ADMIN, "chat": {}}
    execution = runbook.start(revoke)
    runbook.refuse(runbook.heard(), "not ours")
    assert runbook.end(execution)[0] == "ApprovalRefused"
    assert runbook.entries() == [ADMIN]


def test_a_revoke_from_chat_of_access_that_the_function_has_granted_needs_none(runbook):
    granted = runbook.run(GRANT)
    execution = runbook.start(granted["undo"] | {"chat": {}})
    assert runbook.end(execution)["status"] == "REVOKED"
    assert "AskForApproval" not in runbook.entered(execution)


def test_a_throttled_call_is_tried_again(runbook):
    runbook.fault("CreateAccessEntry", "throttled", 4)
    assert runbook.run(GRANT)["status"] == "GRANTED"


def test_an_inspection_and_a_dry_run_change_nothing(runbook):
    assert runbook.run({"action": "inspect", "clusterName": "prod"})["status"] == "INSPECTED"
    assert runbook.run(GRANT | {"dryRun": True})["status"] == "PLANNED"
    assert runbook.entries() == []


def test_a_revoke_goes_the_same_way(runbook):
    granted = runbook.run(GRANT)
    assert runbook.run(granted["undo"])["status"] == "REVOKED"
    assert runbook.entries() == []


@pytest.mark.parametrize(
    ("event", "error", "words"),
    [
        ({"durration": "1h"}, "InvalidRequest", "`duration`"),
        ({"reason": None, "requestedBy": None, "clusterName": ""}, "InvalidRequest", "clusterName"),
        ({"clusterName": "nope"}, "ClusterNotFound", "clusterName"),
        ({"principalArn": ADMIN + "x"}, "PrincipalNotFound", "principalArn"),
        ({"policyArn": "AmazonEKSViewPolicy"}, "RequestDenied", "ALLOWED_POLICIES"),
        ({"duration": "1h"}, "ExpiryUnavailable", "SCHEDULE_GROUP"),
    ],
)
def test_what_cannot_be_done_fails_with_the_functions_words(runbook, event, error, words):
    failed, cause = runbook.run(GRANT | event)
    assert failed == error and words in cause and "Nothing was changed." in cause
    assert not cause.startswith("{"), "words, not JSON"
    assert runbook.heard().startswith(error)


def test_an_empty_event_fails_with_the_functions_words_too(runbook):
    assert runbook.run({})[0] == "InvalidRequest"


def test_where_no_chat_is_deployed_what_comes_from_chat_is_asked_for_on_the_topic(runbook):
    execution = runbook.start(GRANT | {"chat": {"responseUrl": "https://hooks.slack.com/commands/1"}})
    runbook.approve(runbook.heard())
    assert runbook.end(execution)["status"] == "GRANTED"
    assert not {"AskInChat", "TellInChat"} & set(runbook.entered(execution))
    assert runbook.run({"action": "inspect", "clusterName": "prod", "chat": {}})["status"] == "INSPECTED"


@pytest.mark.parametrize(
    ("operation", "kind", "error"),
    [("DescribeCluster", "denied", "PermissionDenied"), ("AssociateAccessPolicy", "denied", "PermissionDenied")],
)
def test_what_aws_refuses_fails_with_what_was_changed(runbook, operation, kind, error):
    runbook.fault(operation, kind, 100)
    failed, cause = runbook.run(GRANT)
    assert failed == error and f"eks:{operation}" in cause
    if operation == "AssociateAccessPolicy":
        assert "Already changed: the access entry was created" in cause


def test_chat_is_told_how_long_the_runbook_waits_for_its_answer():
    asked = definition("recover")["States"]["AskInChat"]
    assert f"+ {asked['TimeoutSeconds'] * 1000})" in asked["Arguments"]["Payload"]["ask"]["until"]
    words = asked["Catch"][0]["Assign"]["failure"]["Cause"]
    assert f"within {asked['TimeoutSeconds'] // 60} minutes" in words


def test_the_names_of_errors_are_those_of_the_code():
    states = definition("recover")["States"]
    names_agree_with_the_code(states["Plan"], states["Act"])
