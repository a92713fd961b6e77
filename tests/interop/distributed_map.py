"""MiniStack, taught what it leaves out of a Distributed Map, as the Step Functions Developer Guide describes it.

MiniStack runs the child workflows, counts what fails and reads JSON and CSV from S3; it does not evaluate JSONata in the fields of a Distributed
Map, batches nothing and writes no results. Sources: "ItemSelector", "ItemBatcher", "ItemReader" and "ResultWriter (Map)" in the guide.
What AWS does and this does not: stop the children that have not run yet once more than is tolerated have failed.
"""

import json

import aliases  # noqa: F401 (extends MiniStack, too)
from ministack import app
from ministack.services import s3
from ministack.services import stepfunctions as states

run_children = states._run_distributed_map


def run_distributed_map(state, given, effective, processor, execution, context):
    def evaluated(field, here=context):
        return states._apply_jsonata_template(field, given, here)

    def selected(index, item):
        here = {**context, "Map": {"Item": {"Index": index, "Value": item}}}
        return evaluated(state["ItemSelector"], here) if "ItemSelector" in state else item

    if "ItemReader" in state:
        reader = state["ItemReader"]
        try:
            items = states._read_map_items({**reader, "Arguments": evaluated(reader["Arguments"])}, effective, context)
        except ValueError as error:
            raise states._ExecutionError("States.ItemReaderFailed", str(error)) from error
    else:
        items = evaluated(state["Items"])
    items = [selected(index, item) for index, item in enumerate(items)]
    if "ItemBatcher" in state:
        items = batches(items, evaluated(state["ItemBatcher"]))
    plain = {"End": True, "Label": state["Label"], "MaxConcurrency": evaluated(state.get("MaxConcurrency", 0))}
    if "ToleratedFailurePercentage" in state:
        plain["ToleratedFailurePercentage"] = evaluated(state["ToleratedFailurePercentage"])
    known = set(states._map_runs)
    try:
        # Child workflows do not see the variables of the workflow that starts them.
        result, _ = run_children(plain, items, items, processor, execution, {**context, "variables": {}})
    finally:
        [run] = [
            run for arn, run in states._map_runs.items() if arn not in known and run["executionArn"] == execution["executionArn"]
        ]
        if "ResultWriter" in state:
            written = write(evaluated(state["ResultWriter"]), run["mapRunArn"])
    if "ResultWriter" in state:
        result = {"MapRunArn": run["mapRunArn"], "ResultWriterDetails": written}
    output = states._apply_jsonata_output(state, given, context, result=result, default=result)
    states._apply_state_assign(state, given, context, result=result)
    return output, states._next_or_end(state)


def batches(items, batcher):
    """Items by so many, and by so many bytes."""
    made = []
    for item in items:
        last = made[-1] if made else None
        fits = last and len(last) < batcher["MaxItemsPerBatch"]
        if not fits or len(json.dumps([*last, item])) > batcher["MaxInputBytesPerBatch"]:
            made.append([item])
        else:
            last.append(item)
    return [{"BatchInput": batcher["BatchInput"], "Items": batch} for batch in made]


def write(writer, map_run_arn):
    """The results of a map run in S3: a file of what succeeded, one of what failed, and a manifest that names them."""
    config, (bucket, prefix) = writer["WriterConfig"], (writer["Arguments"]["Bucket"], writer["Arguments"]["Prefix"])
    assert config["OutputType"] == "JSON" and config["Transformation"] in ("NONE", "COMPACT"), "teach this the configuration"
    children = [child for child in states._executions.values() if child.get("mapRunArn") == map_run_arn]
    folder = f"{prefix.rstrip('/')}/{map_run_arn.split(':')[-1]}"
    files = {"SUCCEEDED": [], "FAILED": [], "PENDING": []}
    for status in ("SUCCEEDED", "FAILED"):
        of_status = [child for child in children if child["status"] == status]
        if config["Transformation"] == "COMPACT" and status == "SUCCEEDED":
            results = [json.loads(child["output"]) for child in of_status]
        else:
            results = [described(child) for child in of_status]
        if results:
            key = f"{folder}/{status}_0.json"
            put(bucket, key, results)
            files[status].append({"Key": key, "Size": len(json.dumps(results))})
    put(bucket, f"{folder}/manifest.json", {"DestinationBucket": bucket, "MapRunArn": map_run_arn, "ResultFiles": files})
    return {"Bucket": bucket, "Key": f"{folder}/manifest.json"}


def described(child):
    shown = {"ExecutionArn": child["executionArn"], "Input": child["input"], "Name": child["name"], "Status": child["status"]}
    if child["status"] == "SUCCEEDED":
        return shown | {"Output": child["output"]}
    return shown | {"Error": child["error"], "Cause": child["cause"]}


def put(bucket, key, content):
    status, _, answer = s3._put_object(bucket, key, json.dumps(content).encode(), {})
    assert status == 200, answer


states._run_distributed_map = run_distributed_map

if __name__ == "__main__":
    app.main()
