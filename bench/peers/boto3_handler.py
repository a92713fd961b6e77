"""The same work in Python: what one would write in an hour, and measure against. A grant takes it eight calls, one after another."""

import json

import boto3

sts = boto3.client("sts")
iam = boto3.client("iam")
eks = boto3.client("eks")
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


def policies_of(entry):
    """The access policies of an entry; `None` where there is no entry."""
    try:
        eks.describe_access_entry(**entry)
        return eks.list_associated_access_policies(**entry)["associatedAccessPolicies"]
    except eks.exceptions.ResourceNotFoundException:
        return None


def handler(event, context):
    cluster, principal = event["clusterName"], event["principalArn"]
    entry = {"clusterName": cluster, "principalArn": principal}
    caller = sts.get_caller_identity()
    described = eks.describe_cluster(name=cluster)["cluster"]
    iam.get_role(RoleName=principal.rpartition("/")[2])
    policies = policies_of(entry)
    if policies is None:
        eks.create_access_entry(**entry, type="STANDARD")
    if POLICY not in [policy["policyArn"] for policy in policies or []]:
        eks.associate_access_policy(**entry, policyArn=POLICY, accessScope={"type": "cluster"})
        policies = policies_of(entry)
    return {
        "status": "GRANTED",
        "caller": caller["Arn"],
        "cluster": described["arn"],
        "policies": json.loads(json.dumps(policies, default=str)),
    }
