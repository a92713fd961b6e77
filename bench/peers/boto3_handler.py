"""The same work in Python: what one would write in an hour, and measure against."""

import json

import boto3

sts = boto3.client("sts")
eks = boto3.client("eks")
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


def handler(event, context):
    cluster, principal = event["clusterName"], event["principalArn"]
    caller = sts.get_caller_identity()
    described = eks.describe_cluster(name=cluster)["cluster"]
    try:
        eks.create_access_entry(clusterName=cluster, principalArn=principal, type="STANDARD")
    except eks.exceptions.ResourceInUseException:
        pass
    eks.associate_access_policy(
        clusterName=cluster,
        principalArn=principal,
        policyArn=POLICY,
        accessScope={"type": "cluster"},
    )
    policies = eks.list_associated_access_policies(clusterName=cluster, principalArn=principal)
    return {
        "status": "GRANTED",
        "caller": caller["Arn"],
        "cluster": described["arn"],
        "policies": json.loads(json.dumps(policies["associatedAccessPolicies"], default=str)),
    }
