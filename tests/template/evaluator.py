"""Evaluates IAM policies, one question and one answer a line, with MiniStack's evaluator. Runs where MiniStack is installed."""

import json
import sys

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext, evaluate, fnmatch_iam_cs, parse_policy_document


def arn_like(actual, expected):
    """Compares field by field, as IAM does and MiniStack doesn't: no wildcard crosses a colon into the next field. Source: "Amazon Resource Name
    (ARN) condition operators" in the IAM User Guide."""
    fields, patterns = actual.split(":", 5), expected.split(":", 5)
    return len(fields) == len(patterns) == 6 and all(map(fnmatch_iam_cs, fields, patterns))


for operator in ("arnequals", "arnlike"):
    iam_evaluator._CONDITION_OPS[operator] = arn_like
for operator in ("arnnotequals", "arnnotlike"):
    iam_evaluator._CONDITION_OPS[operator] = lambda actual, expected: not arn_like(actual, expected)


def answer(question):
    context = {key.lower(): value for key, value in question["context"].items()}
    call = EvalContext(
        principal_arn=question["principal"],
        principal_type="AssumedRole",
        principal_account=question["principal"].split(":")[4],
        action=question["action"],
        resource_arn=question["resource"],
        region="eu-west-1",
        source_ip=context.get("aws:sourceip", "192.0.2.1"),
        secure_transport=True,
        service_context=context,
    )
    policies, *limits = ([parse_policy_document(document) for document in layer] for layer in question["layers"])
    return evaluate(call, policies, *limits).decision


for line in sys.stdin:
    print(answer(json.loads(line)), flush=True)
