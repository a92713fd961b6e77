"""Runs the function's real binary behind a Lambda Runtime API, for one event."""

import http.server
import json
import pathlib
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def invoke(event, environment):
    """The function's answer to an event: its result, or `errorType` and `errorMessage`."""
    answered = threading.Event()
    answer = {}

    class RuntimeApi(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, status, body=b"", headers=()):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if answered.is_set():
                return
            deadline = str(int((time.time() + 60) * 1000))
            arn = "arn:aws:lambda:eu-west-1:111122223333:function:eks-break-glass"
            headers = {
                "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                "Lambda-Runtime-Deadline-Ms": deadline,
                "Lambda-Runtime-Invoked-Function-Arn": arn,
            }
            self.reply(200, json.dumps(event).encode(), headers.items())

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            answer.update(json.loads(body))
            self.reply(202)
            answered.set()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "eks-break-glass",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        **environment,
    }
    process = subprocess.Popen([ROOT / "target/debug/eks-break-glass"], env=variables, stdout=subprocess.DEVNULL)
    try:
        assert answered.wait(90), "the function did not answer"
        return answer
    finally:
        process.kill()
        process.wait()
        server.shutdown()
