"""The SBOM of a release, held against what Cargo has locked."""

import json
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sbom():
    return subprocess.run([sys.executable, ROOT / ".ci/sbom"], check=True, capture_output=True, text=True).stdout


def test_it_names_what_is_linked_and_nothing_else():
    text = sbom()
    bom = json.loads(text)
    locked = {
        (package["name"], package["version"]): package.get("checksum")
        for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    }
    for component in bom["components"]:
        if component["type"] == "application":
            assert component["name"] == "eks-break-glass-chat", "the other function"
        else:
            [checksum] = component["hashes"]
            assert locked[component["name"], component["version"]] == checksum["content"]
        assert component["licenses"][0]["expression"]
    names = {component["name"] for component in bom["components"]}
    assert {"aws-sdk-eks", "aws-sdk-sfn", "eks-break-glass-chat", "lambda_runtime", "ring", "rustls"} <= names
    assert not {"proptest", "simulator", "cc", "serde_derive"} & names, "these are not linked"
    references = {component["bom-ref"] for component in [*bom["components"], bom["metadata"]["component"]]}
    assert {dependency["ref"] for dependency in bom["dependencies"]} == references
    assert all(set(dependency["dependsOn"]) <= references for dependency in bom["dependencies"])
    assert str(ROOT) not in text and str(pathlib.Path.home()) not in text
    assert sbom() == text, "the same lock file gives the same bytes"
