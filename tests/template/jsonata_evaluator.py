"""Evaluates JSONata expressions of state machines, one question and one answer a line, as MiniStack's Step Functions does. Runs where MiniStack is
installed."""

import json
import sys

from ministack.services import stepfunctions

for line in sys.stdin:
    question = json.loads(line)
    context = {**question["context"], "variables": question["variables"]}
    print(json.dumps(stepfunctions._evaluate_jsonata(question["expression"], question["input"], context)), flush=True)
