"""Evaluates IAM policies, one question and one answer a line, by MiniStack's evaluator. Runs where MiniStack is installed."""

import json
import sys

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document


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
