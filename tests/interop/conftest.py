"""A simulated AWS for each test, and clients that others wrote: the AWS CLI and boto3, by AWS's own models."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import boto3
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ACCOUNT = "111122223333"
ADMIN = "arn:aws:iam::111122223333:role/new-cluster-admin"
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


class Aws:
    """A simulated AWS behind an address."""

    def __init__(self, url, access_key="simulated"):
        self.url, self.access_key = url, access_key
        self.environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": "simulated",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_PAGER": "",
        }

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key="simulated",
        )

    def cli(self, *arguments, check=True):
        """What the AWS CLI answers, read from its JSON; its message where it fails."""
        aws = pathlib.Path(sys.executable).with_name("aws")
        run = subprocess.run(
            [aws, *arguments, "--output", "json"], env=self.environment, capture_output=True, text=True
        )
        if check:
            assert run.returncode == 0, run.stderr
            return json.loads(run.stdout) if run.stdout.strip() else None
        return run.stderr


def started(scenario, mode_change=0):
    """A simulator of a scenario, once it answers."""
    with tempfile.TemporaryDirectory() as folder:
        ready = pathlib.Path(folder, "ready.json")
        process = subprocess.Popen(
            [ROOT / "target/debug/simulator", "--scenario", scenario, "--mode-change", str(mode_change),
             "--ready-file", ready, "--api-server"],
            stdout=subprocess.DEVNULL,
        )
        try:
            while not ready.exists():
                assert process.poll() is None, "the simulator ended"
                time.sleep(0.01)
            yield Aws(json.loads(ready.read_text())["url"])
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def aws():
    yield from started("api-mode")


@pytest.fixture
def config_map_aws():
    yield from started("sso-role-replaced")
