"""The runbook `fleet`, run: a hundred clusters in three accounts, five of them broken in five ways, on MiniStack's Step Functions with the
function's real binary as the task and the simulated EKS behind it. What MiniStack leaves out of a Distributed Map is in `distributed_map.py`."""

import csv
import io
import json
import pathlib
import re

import pytest
from conftest import ROOT, started
from emulator import running
from runbook import Runbook, definition, names_agree_with_the_code

DISTRIBUTED_MAP = pathlib.Path(__file__).with_name("distributed_map.py")
# As the scenario `fleet` of the simulator has them.
PLACES = [("111122223333", "eu-west-1"), ("222233334444", "eu-central-1"), ("333344445555", "us-east-1")]
IN_CONFIG_MAP, IN_ALREADY = (10, 35, 85), (30, 50)
BROKEN = {
    20: "ClusterNotFound",
    40: "PermissionDenied",
    60: "ClusterNotRecoverable",
    70: "RequestDenied",
    80: "AccessEntryConflict",
}
DEFAULTS = {"requestedBy": "jane.doe@example.com", "reason": "INC-2041", "waitSeconds": 0}


def cluster(number):
    account, region = PLACES[number % 3]
    event = {
        "clusterName": f"arn:aws:eks:{region}:{account}:cluster/fleet-{number:03}",
        "principalArn": f"arn:aws:iam::{account}:role/oncall",
    }
    return event | {"policyArn": "AmazonEKSViewPolicy"} if number == 70 else event


FLEET = [cluster(number) for number in range(100)]
SOUND = [cluster(number) for number in range(9)]


@pytest.fixture(scope="module")
def ministack():
    with running(DISTRIBUTED_MAP, SFN_WAIT_SCALE="0", MINISTACK_REGION="eu-west-1") as aws:
        yield aws


class Fleet(Runbook):
    """The runbook, with a bucket of lists and a bucket of results."""

    def __init__(self, ministack, simulator, approval="false", tolerated="100", approval_seconds=3600):
        substitutions = {
            "RequireApproval": approval,
            "ToleratedFailurePercentage": tolerated,
            "FleetConcurrency": "8",
            "ResultsBucket": "results",
        }
        accounts = {"TARGET_ROLE_NAME": "eks-break-glass-target", "ALLOWED_ACCOUNTS": ",".join(account for account, _ in PLACES)}
        super().__init__("fleet", ministack, simulator, accounts, substitutions, approval_seconds)
        self.s3 = ministack.client("s3")
        for bucket in ("lists", "results"):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def upload(self, key, text):
        self.s3.put_object(Bucket="lists", Key=key, Body=text.encode())
        return {"clustersFrom": {"bucket": "lists", "key": key}}

    def results(self, summary, outcome):
        """What was written of each cluster that succeeded or failed."""
        found = self.s3.list_objects_v2(Bucket="results", Prefix=summary["results"]["prefix"]).get("Contents", [])
        [key] = [file["Key"] for file in found if file["Key"].endswith(f"/{outcome}_0.json")]
        return json.load(self.s3.get_object(Bucket="results", Key=key)["Body"])

    def is_in(self, number):
        event = cluster(number)
        shown = self.control(f"snapshot?cluster={event['clusterName']}")["accessEntries"].get(event["principalArn"])
        return shown is not None and shown["type"] == "STANDARD" and shown["accessPolicies"] != {}

    def changed(self):
        return [call for call in self.control("calls")["calls"] if call["operation"] in ("CreateAccessEntry", "UpdateClusterConfig")]


@pytest.fixture
def fleet(ministack, request):
    for simulator in started("fleet", mode_change=1):
        yield Fleet(ministack, simulator, **getattr(request, "param", {}))


def with_(**given):
    return pytest.mark.parametrize("fleet", [given], indirect=True, ids=[""])


def assert_all_but_the_broken_are_in(fleet, summary, broken=BROKEN):
    assert summary == {
        "phase": "act",
        "clusters": 100,
        "succeeded": 95,
        "failed": 5,
        "notStarted": 0,
        "byStatus": {"GRANTED": 93, "ALREADY_GRANTED": 2, "IN_PROGRESS": 0},
        "byError": dict.fromkeys(broken.values(), 1),
        "failures": summary["failures"],
        "results": {"bucket": "results", "prefix": summary["results"]["prefix"]},
    }
    named = {cluster(number)["clusterName"]: error for number, error in broken.items()}
    assert {failure["cluster"]: failure["error"] for failure in summary["failures"]} == named
    for number in set(range(100)) - {20}:
        assert fleet.is_in(number) is (number not in BROKEN), number


def test_a_list_in_the_input(fleet):
    # IAM is asked for a quarter of a minute whether it knows a principal, so only here.
    nobody = {"clusterName": cluster(70)["clusterName"], "principalArn": "arn:aws:iam::222233334444:role/nobody"}
    summary = fleet.run({"clusters": [*FLEET[:70], nobody, *FLEET[71:]], "defaults": DEFAULTS})
    assert_all_but_the_broken_are_in(fleet, summary, BROKEN | {70: "PrincipalNotFound"})
    announced = fleet.heard()
    for words in ("Clusters: 100", "Succeeded: 95 (GRANTED 93, ALREADY_GRANTED 2)", "Failed: 5", "PermissionDenied 1", "INC-2041", "jane.doe"):
        assert words in announced, announced
    for result in fleet.results(summary, "FAILED"):
        assert not result["Cause"].startswith("{") and "Nothing was changed." in result["Cause"], result
    outputs = [json.loads(result["Output"]) for result in fleet.results(summary, "SUCCEEDED")]
    assert len(outputs) == 95 and all(set(output) >= {"status", "cluster", "principal", "expiresAt", "undo"} for output in outputs)

    # Started again, it does nothing twice.
    again = fleet.run({"clusters": FLEET, "defaults": DEFAULTS})
    assert again["byStatus"] == {"GRANTED": 0, "ALREADY_GRANTED": 95, "IN_PROGRESS": 0} and again["failed"] == 5

    # What was written of it is the fleet that takes it back.
    undo = [output["undo"] for output in outputs if output["undo"] is not None]
    assert len(undo) == 93
    back = fleet.run({"clusters": undo})
    assert (back["succeeded"], back["byStatus"]["REVOKED"]) == (93, 93)
    assert [number for number in range(100) if number != 20 and fleet.is_in(number)] == list(IN_ALREADY)


def test_a_json_object_in_s3(fleet):
    assert_all_but_the_broken_are_in(fleet, fleet.run({**fleet.upload("fleet.json", json.dumps(FLEET)), "defaults": DEFAULTS}))


def test_a_csv_object_in_s3(fleet):
    text = io.StringIO()
    columns = ["clusterName", "principalArn", "policyArn", "duration", "reason", "requestedBy", "region", "waitSeconds", "namespaces"]
    table = csv.DictWriter(text, columns, restval="")
    table.writeheader()
    table.writerows(event | DEFAULTS for event in FLEET)
    summary = fleet.run(fleet.upload("fleet.csv", text.getvalue()))
    assert_all_but_the_broken_are_in(fleet, summary)
    sent = json.loads(fleet.results(summary, "SUCCEEDED")[0]["Input"])["event"]
    assert sent == FLEET[0] | DEFAULTS, "numbers are numbers, and empty cells are nothing"


def test_cells_become_what_events_are_made_of(fleet):
    sample = (ROOT / "events/fleet/clusters.csv").read_text()
    for name, text in {"sample.csv": sample, "one.CSV": "clusterName, waitSeconds,dryRun,recreateEntry\nprod, 90 ,true,perhaps\n"}.items():
        assert fleet.run(fleet.upload(name, text))[0] == "TooManyFailures", "there are no such clusters"
    written = fleet.s3.list_objects_v2(Bucket="results")["Contents"]
    lists = [file["Key"] for file in written if "/list/" in file["Key"] and file["Key"].endswith("/SUCCEEDED_0.json")]
    events = [event for key in lists for event in json.load(fleet.s3.get_object(Bucket="results", Key=key)["Body"])]
    oncall = "arn:aws:iam::111122223333:role/oncall"
    assert sorted(events, key=lambda event: event["clusterName"]) == [
        {"clusterName": "arn:aws:eks:eu-west-1:111122223333:cluster/prod", "principalArn": oncall},
        {"clusterName": "prod", "waitSeconds": 90, "dryRun": True, "recreateEntry": "perhaps"},
        {
            "clusterName": "staging",
            "principalArn": oncall,
            "policyArn": "AmazonEKSAdminPolicy",
            "accessScope": {"type": "namespace", "namespaces": ["team-a", "dev-*"]},
            "duration": "1h",
            "region": "eu-central-1",
        },
    ]


def test_more_failures_than_are_tolerated_end_the_fleet_and_are_counted(fleet):
    error, cause = fleet.run({"clusters": FLEET, "defaults": DEFAULTS, "toleratedFailurePercentage": 4})
    assert error == "TooManyFailures"
    for words in ("more than 4 %", "what was granted stays", "Failed: 5", "ClusterNotFound 1", "s3://results/"):
        assert words in cause, cause
    assert fleet.heard().startswith("TooManyFailures")
    assert fleet.is_in(0)


@with_(tolerated="4")
def test_what_is_tolerated_is_said_by_the_parameter_where_the_input_does_not(fleet):
    assert fleet.run({"clusters": FLEET[:61:20], "defaults": DEFAULTS})[0] == "TooManyFailures"
    assert fleet.run({"clusters": FLEET[:61:20], "defaults": DEFAULTS, "toleratedFailurePercentage": 80})["failed"] == 3


def test_a_fleet_in_which_nothing_succeeds_has_failed(fleet):
    error, cause = fleet.run({"clusters": [cluster(20), cluster(60)], "defaults": DEFAULTS})
    assert error == "TooManyFailures" and "every cluster failed" in cause


@with_(approval="true")
def test_one_approval_for_all_with_the_plan_before_it(fleet):
    execution = fleet.start({"clusters": FLEET, "defaults": DEFAULTS | {"duration": None}})
    asked = fleet.heard()
    for words in (
        "Access to 98 EKS clusters is asked for",
        "the whole list, also for clusters where nothing would change now: s3://results/",
        "Principals:\n",
        *("- " + cluster(number)["clusterName"] for number in range(100) if number not in IN_ALREADY),
        "- arn:aws:iam::333344445555:role/oncall",
        "- AmazonEKSClusterAdminPolicy",
        "PLANNED 95",
        "Failed: 5",
        "jane.doe@example.com",
        "INC-2041",
        "within 60 minutes",
    ):
        assert words in asked, asked
    assert fleet.changed() == [], "nothing is done before it is approved"
    fleet.approve(asked)
    assert_all_but_the_broken_are_in(fleet, fleet.end(execution))
    assert "Approved by: john" in fleet.heard()


@with_(approval="true")
def test_a_large_fleet_is_counted_in_batches_and_shown_by_examples(fleet):
    execution = fleet.start({"clusters": [cluster(number % 9) for number in range(400)], "defaults": DEFAULTS | {"reason": "because " * 120}})
    asked = fleet.heard()
    assert "Access to 400 EKS clusters" in asked and "PLANNED 400" in asked
    assert 380 < int(re.search(r"- and (\d+) more\n", asked)[1]) < 400
    assert re.search(r"the whole list, .*: s3://results/\S+/list/\S+/SUCCEEDED_0.json\n", asked)
    for heading in ("Principals", "Policies", "For"):
        assert f"\n{heading} (examples, the list has all):\n- " in asked, asked
    fleet.refuse(asked, "not tonight")
    assert fleet.end(execution)[0] == "ApprovalRefused"


@with_(approval="true")
def test_what_cannot_be_planned_yet_is_approved_too(fleet):
    execution = fleet.start({"clusters": [cluster(30), cluster(20)], "defaults": DEFAULTS})
    asked = fleet.heard()
    assert "Access to 1 EKS clusters" in asked and cluster(20)["clusterName"] in asked
    fleet.refuse(asked, "not there")
    assert fleet.end(execution)[0] == "ApprovalRefused"


@with_(approval="true")
def test_a_list_that_changes_after_it_was_approved_changes_nothing(fleet):
    event = fleet.upload("fleet.json", json.dumps(SOUND[:1])) | {"defaults": DEFAULTS}
    execution = fleet.start(event)
    asked = fleet.heard()
    fleet.upload("fleet.json", json.dumps(SOUND))
    fleet.approve(asked)
    assert fleet.end(execution)["clusters"] == 1
    assert fleet.is_in(0) and not fleet.is_in(1)


@with_(approval="true")
def test_a_fleet_that_is_refused_is_not_touched(fleet):
    execution = fleet.start({"clusters": SOUND, "defaults": DEFAULTS})
    fleet.refuse(fleet.heard(), "not tonight")
    error, cause = fleet.end(execution)
    assert error == "ApprovalRefused" and "not tonight" in cause
    assert fleet.changed() == []


@with_(approval="true")
def test_an_answer_that_does_not_say_yes_is_no(fleet):
    execution = fleet.start({"clusters": SOUND, "defaults": DEFAULTS})
    fleet.approve(fleet.heard(), approved="perhaps")
    assert fleet.end(execution)[0] == "ApprovalRefused"
    assert fleet.changed() == []


@with_(approval="true", approval_seconds=1)
def test_an_approval_that_does_not_come_in_time_is_none(fleet):
    error, cause = fleet.run({"clusters": SOUND, "defaults": DEFAULTS})
    assert error == "ApprovalTimedOut" and "start the execution again" in cause
    assert fleet.changed() == []


@with_(approval="true")
def test_where_nothing_is_to_be_done_nobody_is_asked_and_nothing_is_sent(fleet):
    summary = fleet.run({"clusters": [cluster(number) for number in IN_ALREADY], "defaults": DEFAULTS})
    assert (summary["phase"], summary["byStatus"]["PLANNED"]) == ("plan", 2), "access that is revoked after the plan is not granted again, unapproved"


def test_a_dry_run_changes_nothing_whatever_the_events_say(fleet):
    summary = fleet.run({"clusters": [event | {"dryRun": False} for event in SOUND], "dryRun": True, "defaults": DEFAULTS})
    assert (summary["phase"], summary["byStatus"]["PLANNED"]) == ("plan", 9)
    assert fleet.changed() == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"clusters": []},
        {"clusters": SOUND, "clustersFrom": {"bucket": "lists", "key": "fleet.json"}},
        {"clustersFrom": {"bucket": "lists", "key": "fleet.txt"}},
        {"clustersFrom": {"key": "fleet.csv"}},
        {"clusters": SOUND, "dryrun": True},
        {"clusters": SOUND, "dryRun": "true"},
        {"clusters": SOUND, "toleratedFailurePercentage": "10"},
        {"clusters": SOUND, "toleratedFailurePercentage": 101},
        {"clusters": SOUND, "defaults": []},
        {"clusters": SOUND, "defaults": {"emergency": True}},
        {"clusters": [*SOUND[:1], SOUND[1] | {"emergency": True}]},
    ],
)
def test_an_input_that_is_not_a_fleets_is_refused(fleet, event):
    error, cause = fleet.run(event)
    assert error == "InvalidRequest" and "nothing was changed" in cause and "`clustersFrom`" in cause
    assert fleet.changed() == []


@with_(approval="true")
def test_an_emergency_in_a_list_of_s3_is_refused_even_if_the_list_was_approved(fleet):
    listed = [SOUND[0], SOUND[1] | {"emergency": True, "duration": "1h"}]
    execution = fleet.start(fleet.upload("fleet.json", json.dumps(listed)) | {"defaults": DEFAULTS})
    fleet.approve(fleet.heard())
    summary = fleet.end(execution)
    assert (summary["succeeded"], summary["byError"]) == (1, {"InvalidRequest": 1})
    assert fleet.is_in(0) and not fleet.is_in(1)


@pytest.mark.parametrize("text", ["[]", "no JSON", "[1]"])
def test_a_list_that_cannot_be_read_is_refused(fleet, text):
    error, cause = fleet.run(fleet.upload("fleet.json", text))
    assert error == "InvalidRequest" and "cannot be read" in cause
    assert fleet.run(fleet.upload("fleet.csv", "clusterName,principalArn\n"))[0] == "InvalidRequest"
    assert fleet.run({"clustersFrom": {"bucket": "lists", "key": "absent.json"}})[0] == "InvalidRequest"
    assert fleet.changed() == []


def test_a_fleet_whose_results_cannot_be_found_says_where_to_look(fleet):
    written = fleet.states.describe_state_machine(stateMachineArn=fleet.machine)["definition"]
    fleet.states.update_state_machine(stateMachineArn=fleet.machine, definition=written.replace(":listObjectsV2", ":listNothing"))
    error, cause = fleet.run({"clusters": SOUND, "defaults": DEFAULTS})
    assert error == "FleetInterrupted" and "map run" in cause and "s3://results/" in cause
    assert fleet.is_in(0)


def test_the_names_of_errors_are_those_of_the_code():
    run = definition("fleet")["States"]["Run"]
    names_agree_with_the_code(run["ItemProcessor"]["States"]["Act"])
