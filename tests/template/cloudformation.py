"""What CloudFormation makes of the templates, given their parameters."""

import json
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ACCOUNT, REGION = "111122223333", "eu-west-1"
NO_VALUE = "AWS::NoValue"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as `{"Fn::Name": value}`."""


def short_form(loader, suffix, node):
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)
# The names of the code: settings, errors, operations, announcements.
CONTRACT = json.loads((ROOT / "docs/schemas/contract.json").read_text())
TEMPLATE = yaml.load((ROOT / "template.yaml").read_text(), Loader)
TARGET = yaml.load((ROOT / "target-account.yaml").read_text(), Loader)


class Values(dict):
    """What references stand for in a template."""

    def __init__(self, template, given):
        super().__init__({"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::URLSuffix": "amazonaws.com"})
        self.conditions = template["Conditions"]
        for name, parameter in template["Parameters"].items():
            value = given.get(name, parameter.get("Default", ""))
            self[name] = value.split(",") if parameter["Type"] == "CommaDelimitedList" else value


def parameters(template=TEMPLATE, **given):
    """The template's values; ARNs of some of its resources among them."""
    if template is TARGET:
        given = {"FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:eks-break-glass"} | given
    values = Values(template, given)
    if template is TEMPLATE:
        function = values["FunctionName"]
        resources = {name: resolve(resource.get("Properties", {}), values) for name, resource in TEMPLATE["Resources"].items()}
        values["ScheduleGroup"] = resources["ScheduleGroup"]["Name"]
        # CloudFormation begins a role's name with the stack's.
        values["ScheduleRole.Arn"] = f"arn:aws:iam::{ACCOUNT}:role/eks-break-glass-schedule-role"
        values["FunctionRole.Arn"] = f"arn:aws:iam::{ACCOUNT}:role/function-role"
        values["EksBreakGlassFunction.Arn"] = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
        for machine in ("recover", "fleet"):
            values[f"{machine.title()}StateMachine"] = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{function}-{machine}"
        for name, resource in TEMPLATE["Resources"].items():
            match resource["Type"]:
                case "AWS::SQS::Queue":
                    queue = resources[name]["QueueName"]
                    values |= {f"{name}.QueueName": queue, f"{name}.Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"}
                case "AWS::Lambda::Alias":
                    values[name] = f"{values['EksBreakGlassFunction.Arn']}:{resources[name]['Name']}"
                case "AWS::S3::Bucket":
                    # It begins with the stack's name, which is the function's by default.
                    bucket = f"{function}-{name.lower()}-0123456789ab"
                    values |= {name: bucket, f"{name}.Arn": f"arn:aws:s3:::{bucket}"}
                case "AWS::SNS::Topic":
                    values[name] = f"arn:aws:sns:{REGION}:{ACCOUNT}:{resources[name]['TopicName']}"
    return values


def resolve(value, values):
    """What CloudFormation makes of a value."""
    if isinstance(value, list):
        return [item for item in (resolve(item, values) for item in value) if item != NO_VALUE]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(function, argument)] = value.items()
        match function:
            case "Ref":
                return values.get(argument, argument)
            case "Condition":
                return resolve(values.conditions[argument], values) if isinstance(argument, str) else {function: resolve(argument, values)}
            case "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda name: str(values.get(name[1], name[1])), argument)
            case "Fn::Join":
                return argument[0].join(resolve(argument[1], values))
            case "Fn::Split":
                return resolve(argument[1], values).split(argument[0])
            case "Fn::GetAtt":
                return values.get(argument, argument)
            case "Fn::Equals":
                left, right = resolve(argument, values)
                return left == right
            case "Fn::Select":
                index, items = argument
                return resolve(items, values)[index]
            case "Fn::If":
                condition, then, otherwise = argument
                return resolve(then if resolve(values.conditions[condition], values) else otherwise, values)
            case "Fn::Not":
                return not resolve(argument[0], values)
            case "Fn::And":
                return all(resolve(argument, values))
            case "Fn::Or":
                return any(resolve(argument, values))
    resolved = {key: resolve(item, values) for key, item in value.items()}
    return {key: item for key, item in resolved.items() if item != NO_VALUE}


def is_there(resource, values):
    """Whether a resource is made at all."""
    return "Condition" not in resource or resolve(values.conditions[resource["Condition"]], values)


def role_policies(template, role, **given):
    """All policy documents of a role."""
    values = parameters(template, **given)
    documents = [policy["PolicyDocument"] for policy in template["Resources"][role]["Properties"]["Policies"]]
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::RolePolicy" and resource["Properties"]["RoleName"] == {"Ref": role} and is_there(resource, values):
            documents.append(resource["Properties"]["PolicyDocument"])
    return [resolve(document, values) for document in documents]
