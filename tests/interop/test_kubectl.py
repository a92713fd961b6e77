"""The whole chain with the real kubectl: the function's kubeconfig, the AWS CLI as its exec plugin, and the cluster's API server."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import ADMIN
from function import invoke

CAN_I = ("auth", "can-i", "*", "*", "--all-namespaces")


@pytest.fixture
def kubectl(tmp_path):
    """kubectl as the principal: with its credentials, which the simulated AWS knows, and with nothing of this machine's."""
    path = shutil.which("kubectl")
    if path is None:
        pytest.skip("kubectl is not installed")

    def run(kubeconfig, *arguments):
        config = tmp_path / "config"
        config.write_text(kubeconfig)
        environment = {
            "PATH": f"{pathlib.Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "KUBECONFIG": str(config),
            "AWS_ACCESS_KEY_ID": "principal",
            "AWS_SECRET_ACCESS_KEY": "simulated",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        return subprocess.run([path, *arguments], env=environment, capture_output=True, text=True, timeout=60)

    return run


def test_kubectl_says_no_then_yes_then_no(aws, kubectl):
    environment = {"AWS_ENDPOINT_URL": aws.url}
    plan = invoke({"clusterName": "prod", "principalArn": ADMIN, "dryRun": True}, environment)
    before = kubectl(plan["kubeconfig"], *CAN_I)
    assert before.returncode != 0 and "must be logged in" in before.stderr, before

    granted = invoke({"clusterName": "prod", "principalArn": ADMIN, "verify": "kubernetes"}, environment)
    assert granted["verification"]["kubernetes"] == "ALLOWED", granted["verification"]
    after = kubectl(granted["kubeconfig"], *CAN_I)
    assert (after.returncode, after.stdout.strip()) == (0, "yes"), after

    revoked = invoke(granted["undo"] | {"verify": "kubernetes"}, environment)
    assert revoked["verification"]["kubernetes"] == "DENIED", revoked["verification"]
    over = kubectl(granted["kubeconfig"], *CAN_I)
    assert over.returncode != 0 and "must be logged in" in over.stderr, over
