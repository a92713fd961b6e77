"""Where services answer: the table that the function's endpoints are held against is what botocore's endpoint rules say."""

import itertools
import pathlib

import botocore.session
from botocore.endpoint_provider import EndpointProvider

TABLE = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "endpoints.csv"
SERVICES = {
    "events": "events",
    "iam": "iam",
    "scheduler": "scheduler",
    "secretsmanager": "secretsmanager",
    "stepfunctions": "states",
}
REGIONS = [
    "eu-west-1",
    "us-east-1",
    "cn-north-1",
    "us-gov-west-1",
    "us-gov-east-1",
    "eusc-de-east-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "us-isof-south-1",
]


def rules():
    loader = botocore.session.Session().get_component("data_loader")
    partitions = loader.load_data("partitions")
    for service, name in SERVICES.items():
        provider = EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), partitions)
        for region, fips, dual in itertools.product(REGIONS, [False, True], [False, True]):
            if (service, region, fips, dual) == ("secretsmanager", "cn-north-1", True, True):
                continue  # There is no FIPS in China, and the rules' answer is nobody's host.
            endpoint = provider.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual)
            schemes = endpoint.properties.get("authSchemes") or [{}]
            signed_for = schemes[0].get("signingRegion", region)
            yield ",".join(
                [name, region, "fips" if fips else "-", "dual" if dual else "-", endpoint.url, signed_for]
            )


def test_the_table_is_what_the_rules_of_aws_say():
    assert TABLE.read_text().splitlines() == list(rules())
