"""Whether IAM would allow a call, by the policy evaluator of MiniStack, which others wrote."""

import functools
import json
import subprocess

from cloudformation import ACCOUNT, ROOT, TEMPLATE, role_policies

CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/caller/session"


@functools.cache
def evaluator():
    """One process for all questions; it ends with its input, when the tests do."""
    command = [ROOT / ".tools/ministack/bin/python", "-B", ROOT / "tests/template/evaluator.py"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def decision(policies, action, resource, context=None, boundary=None, principal=CALLER):
    """`Allow`, `Deny` or `ImplicitDeny`. A condition on a key that the call does not have is not met."""
    layers = [policies] if boundary is None else [policies, [boundary]]
    question = {"layers": layers, "action": action, "resource": resource, "context": context or {}, "principal": principal}
    process = evaluator()
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def is_allowed(*arguments, **options):
    answer = decision(*arguments, **options)
    assert answer in ("Allow", "Deny", "ImplicitDeny"), "the evaluator has ended"
    return answer == "Allow"


def allowed(action, resource, context=None, **given):
    """Whether the function's role allows a call, with these parameters of the template."""
    return is_allowed(role_policies(TEMPLATE, "FunctionRole", **given), action, resource, context)
