"""What Slack does: it sends what people type and click, signed by Slack's own SDK, and shows what is posted to a `response_url`."""

import http.client
import http.server
import itertools
import json
import threading
import time
import urllib.parse

from emulator import deploy
from slack_sdk.models.blocks import Block
from slack_sdk.signature import SignatureVerifier

TEAM, CHANNEL, BOT_TOKEN = "T0EXAMPLE", "C0INCIDENT", "xoxb-example"
# "You can respond up to five times within 30 minutes" (Slack, Handling user interaction).
MOST_ANSWERS = 5


class Slack:
    """A workspace with one channel."""

    def __init__(self, secret):
        self.secret, self.groups = secret, {}
        # What the channel shows: messages by `ts`, and the answers in each one's thread.
        self.shown, self.threads = {}, {}
        # Only one person sees these, and nothing can replace them.
        self.whispered = []
        self.posted, self.answers, self.origins = [], {}, {}
        self.numbers = itertools.count(1)
        self.changed = threading.Condition()
        slack = self

        class Hooks(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = slack.take(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def install(self, aws, name, variables):
        """The chat function's real binary in MiniStack, behind the URL that this app's requests go to."""
        secret = json.dumps({"signingSecret": self.secret, "botToken": BOT_TOKEN})
        there = {
            "AWS_ENDPOINT_URL": aws.url,
            "SLACK_SECRET_ARN": aws.client("secretsmanager").create_secret(Name="slack", SecretString=secret)["ARN"],
            "SLACK_RESPONSE_HOSTS": self.host,
            "SLACK_API_URL": f"http://{self.host}/api",
        }
        deploy(aws, there | variables, name, "chat")
        url = aws.client("lambda").create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
        self.address, self.name = aws.url.removeprefix("http://"), url.removeprefix("https://").rstrip("/")

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def take(self, path, headers, body):
        """Something that the app has sent: a message to a `response_url`, or a call of the Web API."""
        if path.startswith("/api/usergroups.users.list"):
            assert headers["Authorization"] == f"Bearer {BOT_TOKEN}"
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query or body.decode())
            return 200, json.dumps({"ok": True, "users": self.groups.get(query["usergroup"][0], [])}).encode()
        with self.changed:
            if path not in self.origins or self.answers.get(path, 0) >= MOST_ANSWERS:
                return 404, b'{"ok":false,"error":"used_url"}'
            self.answers[path] = self.answers.get(path, 0) + 1
            message = json.loads(body)
            self.posted.append(message)
            self.show(message, self.origins[path])
            self.changed.notify_all()
        return 200, b'{"ok":true}'

    def show(self, message, origin):
        if message.get("thread_ts"):
            self.threads.setdefault(message["thread_ts"], []).append(message)
        elif message.get("replace_original") and origin:
            self.shown[origin] = message
        elif message.get("response_type") == "in_channel":
            self.shown[f"1700000000.{next(self.numbers):06}"] = message
        else:
            self.whispered.append(message)

    def until(self, what):
        """Waits until what Slack shows has something to it; what that is."""
        with self.changed:
            for _ in range(600):
                if found := what(self):
                    return found
                self.changed.wait(0.05)
        raise AssertionError(f"never shown; what was: {self.posted}")

    def message(self, *words):
        """The `ts` of the message that has these words, once it is there."""
        return self.until(lambda slack: next((ts for ts, message in slack.shown.items() if says(message, *words)), None))

    def response_url(self, origin=None):
        path = f"/commands/{TEAM}/{next(self.numbers)}/secret"
        self.origins[path] = origin
        return f"http://{self.host}{path}"

    def trigger(self):
        return f"{next(self.numbers)}.{TEAM}.abcdef"

    def type(self, text, user, **fields):
        """A user types `/break-glass` with a text; the app's answer."""
        form = {
            "token": "deprecated",
            "team_id": TEAM,
            "team_domain": "example",
            "channel_id": CHANNEL,
            "channel_name": "incident",
            "user_id": user,
            "user_name": "name",
            "command": "/break-glass",
            "text": text,
            "api_app_id": "A0EXAMPLE",
            "is_enterprise_install": "false",
            "response_url": self.response_url(),
            "trigger_id": self.trigger(),
        }
        return self.send(urllib.parse.urlencode(form | fields))

    def click(self, ts, action, user, **changes):
        """A user clicks a button of a message; the app's answer."""
        return self.send(self.clicked(ts, action, user, **changes))

    def clicked(self, ts, action, user, **changes):
        message = self.shown[ts]
        [button] = [element for element in buttons(message) if element["action_id"].endswith(action)]
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": "name", "name": "name", "team_id": TEAM},
            "api_app_id": "A0EXAMPLE",
            "token": "deprecated",
            "container": {"type": "message", "message_ts": ts, "channel_id": CHANNEL, "is_ephemeral": False},
            "trigger_id": self.trigger(),
            "team": {"id": TEAM, "domain": "example"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": CHANNEL, "name": "incident"},
            "message": {"type": "message", "subtype": "bot_message", "ts": ts, **message},
            "state": {"values": {}},
            "response_url": self.response_url(ts),
            "actions": [
                {
                    "action_id": button["action_id"],
                    "block_id": "b1",
                    "text": button["text"],
                    "value": button["value"],
                    "style": button.get("style"),
                    "type": "button",
                    "action_ts": "1700000000.000000",
                }
                | changes
            ],
        }
        return urllib.parse.urlencode({"payload": json.dumps(payload)})

    def headers(self, body, at=None, secret=None):
        """The headers of a request, signed by Slack's SDK."""
        timestamp = str(int(time.time() if at is None else at))
        return {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": SignatureVerifier(secret or self.secret).generate_signature(timestamp=timestamp, body=body),
        }

    def send(self, body, headers=None):
        """The status that a request is answered with, and the body."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request("POST", "/", body.encode(), {"Host": self.name} | (self.headers(body) if headers is None else headers))
        answer = connection.getresponse()
        status, text = answer.status, answer.read().decode()
        connection.close()
        if status == 200 and text:
            message = json.loads(text)
            self.posted.append(message)
            self.show(message, None)
        return status, text


def buttons(message):
    return [element for block in message.get("blocks", []) if block["type"] == "actions" for element in block["elements"]]


def says(message, *words):
    text = json.dumps(message, ensure_ascii=False)
    return all(word in text for word in words)


def check(message):
    """Whether Slack's own SDK takes the blocks of a message, and knows everything in them."""
    assert message.get("text"), "what notifications and screen readers are given"
    blocks = message.get("blocks", [])
    assert len(blocks) <= 50
    for block in blocks:
        parsed = Block.parse(block)
        assert parsed is not None, block
        parsed.validate_json()
        assert parsed.to_dict() == block, "something in it is not known, or is left out"
