"""Each claim of the threat model is backed by something that is there."""

import json
import re

import pytest
from cloudformation import ROOT, TARGET, TEMPLATE

DOCUMENT = (ROOT / "docs/threat-model.md").read_text()
SECTIONS = {section.split("\n", 1)[0]: section for section in DOCUMENT.split("\n## ")[1:]}
ATTACKS = {title: section for title, section in SECTIONS.items() if "backed by" in section}
REFERENCE = re.compile(r"`([\w./-]+\.(?:rs|py|yaml|json)): (\w+)`")


def is_there(path, name):
    if path == "template.yaml":
        return name in TEMPLATE["Resources"]
    if path == "target-account.yaml":
        return name in TARGET["Resources"]
    source = (ROOT / path).read_text()
    definition = {".rs": rf"#\[(?:tokio::)?test.*?\]\s+(?:async )?fn {name}\(", ".py": rf"^def {name}\("}[path[path.rindex(".") :]]
    return re.search(definition, source, re.M) is not None


def test_the_attackers_are_those_that_were_asked_for():
    asked = ("stolen role", "compromised", "malicious event", "confused deputy", "extends for ever")
    for attacker in asked:
        assert [title for title in ATTACKS if attacker in title], attacker
    assert all("**What remains.**" in section for section in ATTACKS.values())


@pytest.mark.parametrize("title", ATTACKS)
def test_every_claim_is_backed_by_a_test_or_a_resource_that_is_there(title):
    rows = [line for line in ATTACKS[title].splitlines() if line.startswith("| ")][1:]
    assert rows
    for row in rows:
        *_, backing, _ = row.split("|")
        references = REFERENCE.findall(backing)
        assert references and not re.sub(r"[\s,]", "", REFERENCE.sub("", backing)), row
    for path, name in REFERENCE.findall(ATTACKS[title]):
        assert is_there(path, name), f"{path}: {name}"


def test_a_claim_that_nothing_backs_is_found():
    assert not is_there("template.yaml", "Nothing")
    assert not is_there("tests/suite/expiry.rs", "nothing_of_the_kind")
    assert not is_there("tests/template/test_iam_policies.py", "operator_")


def test_the_documented_alarms_are_those_of_the_template():
    section = (ROOT / "docs/announcements.md").read_text().split("\n## Alarms")[1].split("\n## ")[0]
    documented = {name for names in re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", section, re.M) for name in re.findall("[a-z-]+", names)}
    names = [resource["Properties"]["AlarmName"]["Fn::Sub"] for resource in TEMPLATE["Resources"].values() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    assert documented == {name.removeprefix("${FunctionName}-") for name in names}


@pytest.mark.parametrize("page", ["announcements", "operators", "threat-model"])
def test_every_parameter_and_output_and_file_of_a_page_is_there(page):
    text = (ROOT / f"docs/{page}.md").read_text()
    known = set(TEMPLATE["Parameters"]) | set(TEMPLATE["Outputs"]) | set(TEMPLATE["Resources"])
    assert set(re.findall(r"`([A-Z][a-z]+[A-Z]\w*(?:Arn|Id|Email|Clusters|Policies|Bus|Principals))`", text)) <= known
    for link in re.findall(r"\]\(([\w./-]+\.(?:md|json))(?:#[\w-]+)?\)", text):
        assert (ROOT / "docs" / link).exists(), link


def test_the_mail_of_the_documentation_is_that_of_the_template():
    shown = re.search(r"```\n(.*?)```", (ROOT / "docs/announcements.md").read_text(), re.S)[1].splitlines()
    [mail, _] = TEMPLATE["Resources"]["AccessGiven"]["Properties"]["Targets"]
    lines = mail["InputTransformer"]["InputTemplate"]["Fn::Sub"].splitlines()
    assert len(shown) == len(lines)
    for line, template in zip(shown, lines):
        pattern = re.sub(r"(<\w+>|\\\$\\\{[\w:]+\\\})", ".+", re.escape(json.loads(template)))
        assert re.fullmatch(pattern, json.loads(line)), line
