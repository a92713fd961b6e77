"""MiniStack, an AWS emulator that others wrote, in a process of its own. `aliases.py` extends it."""

import contextlib
import io
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.request
import zipfile

from conftest import ROOT, Aws

WITH_ALIASES = pathlib.Path(__file__).with_name("aliases.py")
ALIASES = ("approved", "revoke")


@contextlib.contextmanager
def running(program=WITH_ALIASES, access_key="simulated", **settings):
    """MiniStack, once it answers, started by a program that extends it. It takes an access key of twelve digits for an account."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",
            "PERSIST_STATE": "0",
            "TMPDIR": folder,
            "STATE_DIR": folder,
            "S3_DATA_DIR": folder,
            **settings,
        }
        tools = ROOT / ".tools/ministack/bin"
        process = subprocess.Popen(
            [tools / "python", "-B", program],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        aws = Aws(f"http://127.0.0.1:{port}", access_key)
        try:
            answers(aws, process)
            yield aws
        finally:
            process.terminate()
            process.wait()


def answers(aws, process):
    for _ in range(600):
        assert process.poll() is None, "MiniStack ended"
        try:
            return urllib.request.urlopen(f"{aws.url}/_ministack/health", timeout=1)
        except OSError:
            time.sleep(0.05)
    raise AssertionError("MiniStack does not answer")


def make_cluster(aws):
    """A cluster in API mode, and a role that is to be let in."""
    aws.client("iam").create_role(RoleName="new-cluster-admin", AssumeRolePolicyDocument="{}")
    eks = aws.client("eks")
    eks.create_cluster(
        name="prod",
        roleArn="arn:aws:iam::000000000000:role/cluster",
        resourcesVpcConfig={"subnetIds": []},
        accessConfig={"authenticationMode": "API"},
    )
    while eks.describe_cluster(name="prod")["cluster"]["status"] != "ACTIVE":
        time.sleep(0.05)


def package(binary="eks-break-glass"):
    """A real binary, as Lambda takes it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        package.writestr(bootstrap, f"#!/bin/sh\nexec '{ROOT}/target/debug/{binary}'\n")
    return archive.getvalue()


def deploy(aws, variables, name="eks-break-glass", binary="eks-break-glass"):
    """A real binary in MiniStack's Lambda, with the aliases that the template gives to the function."""
    functions = aws.client("lambda")
    function = functions.create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role="arn:aws:iam::000000000000:role/function",
        Timeout=60,
        Code={"ZipFile": package(binary)},
        Environment={"Variables": variables},
    )["FunctionArn"]
    if binary == "eks-break-glass":
        for alias in ALIASES:
            functions.create_alias(FunctionName=name, Name=alias, FunctionVersion="$LATEST")
    return function
