"""What `docs/cost.md` counts on paper is what runs come to."""

import re

import pytest
from conftest import ADMIN, ROOT, started
from emulator import running
from runbook import Runbook, definition
from test_fleet import DISTRIBUTED_MAP, Fleet, cluster

PAPER = {
    name: tuple(map(int, numbers))
    for name, *numbers in re.findall(r"^\| (.+?) \| (\d+) \| (\d+) \| (\d+) \|$", (ROOT / "docs/cost.md").read_text(), re.M)
}
# MiniStack's account is not the one of the simulated cluster.
EVERYBODY = {"ALLOWED_PRINCIPALS": "arn:aws:iam::*:*"}
PLAIN, APPROVED = {"RequireApproval": "false"}, {"RequireApproval": "true"}


@pytest.fixture(scope="module")
def ministack():
    with running(DISTRIBUTED_MAP, SFN_WAIT_SCALE="0", MINISTACK_REGION="eu-west-1") as aws:
        yield aws


def counted(runbook, event, approved=False):
    """States entered, invocations of the function, and calls of EKS."""
    before = len(runbook.control("calls")["calls"])
    execution = runbook.start(event)
    if approved:
        runbook.approve(runbook.heard())
    assert isinstance(runbook.end(execution), dict)
    calls = runbook.control("calls")["calls"][before:]
    return (
        len(runbook.entered(execution)),
        # Each describes the cluster once.
        sum(call["operation"] == "DescribeCluster" for call in calls),
        sum(call["service"] == "eks" for call in calls),
    )


def test_a_recovery(ministack):
    event = {"clusterName": "prod", "principalArn": ADMIN}
    for simulator in started("api-mode"):
        recover = Runbook("recover", ministack, simulator, EVERYBODY, PLAIN)
        assert counted(recover, event) == PAPER["one cluster, granted"]
        assert counted(recover, event) == PAPER["one cluster, granted already"]
    for simulator in started("api-mode"):
        recover = Runbook("recover", ministack, simulator, EVERYBODY, APPROVED)
        assert counted(recover, event, approved=True) == PAPER["one cluster, granted after approval"]


def test_a_fleet(ministack):
    # MiniStack keeps no history of child workflows, so their states are those on the straight way.
    states = definition("fleet")["States"]["Run"]["ItemProcessor"]["States"]
    way = ["Act", states["Act"]["Next"], states["IsStillInProgress"]["Default"]]
    assert states[way[-1]]["End"]
    event = {"clusters": [cluster(0)]}
    for simulator in started("fleet"):
        fleet = Fleet(ministack, simulator)
        for name in ("granted", "granted already"):
            beside, invocations, calls = counted(fleet, event)
            assert (beside, 0, 0) == PAPER["fleet, beside its clusters"]
            assert (len(way), invocations, calls) == PAPER[f"fleet, each cluster {name}"]
    for simulator in started("fleet"):
        fleet = Fleet(ministack, simulator, approval="true")
        beside, invocations, calls = counted(fleet, event, approved=True)
        assert (beside, 0, 0) == PAPER["fleet, beside its clusters, after approval"]
        assert (2 * len(way), invocations, calls) == PAPER["fleet, each cluster granted after approval"]


def test_the_default_of_concurrency_is_the_one_that_is_derived():
    [derived] = re.findall(r"= \*\*(\d+) at once\*\*", (ROOT / "docs/cost.md").read_text())
    [default] = re.findall(r"FleetConcurrency:\n    Type: Number\n    Default: (\d+)", (ROOT / "template.yaml").read_text())
    assert derived == default


def test_the_sums_are_right():
    text = (ROOT / "docs/cost.md").read_text()
    for words, suffix in {"10,000 clusters": "", "10,000 clusters, approved": " after approval"}.items():
        beside = PAPER["fleet, beside its clusters" + suffix.replace(" after", ", after")][0]
        assert f"| {words} | {10_000 * PAPER[f'fleet, each cluster granted{suffix}'][0] + beside:,} |" in text
