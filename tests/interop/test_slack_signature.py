"""Requests that Slack's own SDK signs are heard, and nothing else is: the SDK is the judge of the rest, too."""

import base64
import hashlib
import hmac
import json
import time
import urllib.parse

import pytest
from conftest import ACCOUNT
from emulator import running
from slack import Slack
from slack_sdk.signature import SignatureVerifier

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BODY = urllib.parse.urlencode(
    {"team_id": "T0EXAMPLE", "channel_id": "C0INCIDENT", "user_id": "U0JANE", "command": "/break-glass", "text": "help me, 2 < 3"}
)
TIME, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"


@pytest.fixture(scope="module")
def slack():
    with running(access_key=ACCOUNT) as aws:
        workspace = Slack(SECRET)
        machine = f"arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:recover"
        workspace.install(aws, "chat", {"RECOVER_STATE_MACHINE_ARN": machine})
        workspace.functions = aws.client("lambda")
        yield workspace
        workspace.close()


def body(slack):
    """A command that has never been sent before."""
    return f"{BODY}&{urllib.parse.urlencode({'trigger_id': slack.trigger(), 'response_url': slack.response_url()})}"


def invoke(slack, event):
    """What the function answers to the event of a Function URL, or of an HTTP API."""
    answer = slack.functions.invoke(FunctionName="chat", Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def event(text, headers, encoded):
    body = base64.b64encode(text.encode()).decode() if encoded else text
    return {
        "version": "2.0",
        "rawPath": "/",
        "headers": {name.lower(): value for name, value in headers.items()},
        "requestContext": {"http": {"method": "POST", "path": "/"}},
        "body": body,
        "isBase64Encoded": encoded,
    }


@pytest.mark.parametrize("age", [0, 240, -240])
def test_what_slacks_sdk_has_signed_is_heard(slack, age):
    text = body(slack)
    status, answer = slack.send(text, slack.headers(text, at=time.time() - age))
    assert status == 200 and "/break-glass grant" in answer


@pytest.mark.parametrize("encoded", [False, True])
def test_the_body_is_checked_as_it_was_sent_encoded_or_not(slack, encoded):
    text = body(slack)
    answer = invoke(slack, event(text, slack.headers(text), encoded))
    assert answer["statusCode"] == 200 and "/break-glass grant" in answer["body"]


def signed(kind, text, timestamp, secret=SECRET, base=None):
    return "v0=" + hmac.new(secret.encode(), (base or f"v0:{timestamp}:{text}").encode(), kind).hexdigest()


def change(name, what):
    return lambda text, headers: (text, headers | {name: what(headers[name])})


def without(*names):
    return lambda text, headers: (text, {name: value for name, value in headers.items() if name not in names})


def sent(what):
    return lambda text, headers: (what(text), headers)


def signed_otherwise(slack, **how):
    return lambda text, headers: (text, headers | slack.headers(text, **how))


def with_signature(what):
    return lambda text, headers: (text, headers | {SIGNATURE: what(text, headers[TIME])})


def at(timestamp):
    """Signed as it should be, at a time that is none."""
    return lambda text, headers: (text, headers | {TIME: timestamp, SIGNATURE: signed("sha256", text, timestamp)})


BROKEN = {
    "no signature": lambda slack: without(SIGNATURE),
    "no time": lambda slack: without(TIME),
    "neither": lambda slack: without(SIGNATURE, TIME),
    "an empty signature": lambda slack: change(SIGNATURE, lambda _: ""),
    "an empty time": lambda slack: change(TIME, lambda _: ""),
    "another secret": lambda slack: signed_otherwise(slack, secret="another"),
    "the secret and a new line": lambda slack: signed_otherwise(slack, secret=SECRET + "\n"),
    "the secret in capitals": lambda slack: signed_otherwise(slack, secret=SECRET.upper()),
    "another text": lambda slack: sent(lambda text: text.replace("help", "list")),
    "one letter more": lambda slack: sent(lambda text: text + "x"),
    "a blank more": lambda slack: sent(lambda text: text + " "),
    "a new line more": lambda slack: sent(lambda text: text + "\n"),
    "a field more": lambda slack: sent(lambda text: text + "&text=list"),
    "one letter less": lambda slack: sent(lambda text: text[:-1]),
    "no body": lambda slack: sent(lambda text: ""),
    "its fields in another order": lambda slack: sent(lambda text: "&".join(reversed(text.split("&")))),
    "the same text, encoded otherwise": lambda slack: sent(lambda text: text.replace("+", "%20")),
    "the same text, in small hexadecimal": lambda slack: sent(lambda text: text.replace("%2F", "%2f")),
    "a time of a second later": lambda slack: change(TIME, lambda time: str(int(time) + 1)),
    "a time of long ago, signed": lambda slack: signed_otherwise(slack, at=time.time() - 330),
    "a time to come, signed": lambda slack: signed_otherwise(slack, at=time.time() + 330),
    "a time of yesterday, signed": lambda slack: signed_otherwise(slack, at=time.time() - 86400),
    "the time zero, signed": lambda slack: at("0"),
    "a time below zero, signed": lambda slack: at("-1700000000"),
    "a time with a fraction, signed": lambda slack: at(f"{time.time():.1f}"),
    "a word for a time, signed": lambda slack: at("now"),
    "a time beyond all numbers, signed": lambda slack: at("9" * 40),
    "no version": lambda slack: change(SIGNATURE, lambda signature: signature.removeprefix("v0=")),
    "another version": lambda slack: change(SIGNATURE, lambda signature: signature.replace("v0=", "v1=")),
    "half a signature": lambda slack: change(SIGNATURE, lambda signature: signature[:35]),
    "a signature and more": lambda slack: change(SIGNATURE, lambda signature: signature + "00"),
    "two signatures": lambda slack: change(SIGNATURE, lambda signature: f"{signature},{signature}"),
    "a signature in capitals": lambda slack: change(SIGNATURE, lambda signature: "v0=" + signature[3:].upper()),
    "another digest": lambda slack: with_signature(lambda text, time: signed("sha1", text, time)),
    "the body alone, signed": lambda slack: with_signature(lambda text, time: signed("sha256", text, time, base=text)),
    "the parts in another order, signed": lambda slack: with_signature(
        lambda text, time: signed("sha256", text, time, base=f"v0:{text}:{time}")
    ),
    "a digest without a secret": lambda slack: with_signature(
        lambda text, time: "v0=" + hashlib.sha256(f"v0:{time}:{text}".encode()).hexdigest()
    ),
    "base64 in place of hexadecimal": lambda slack: change(
        SIGNATURE, lambda signature: "v0=" + base64.b64encode(bytes.fromhex(signature[3:])).decode()
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_signature_broken_in_any_way_is_refused_without_a_word(slack, how):
    text = body(slack)
    text, headers = BROKEN[how](slack)(text, slack.headers(text))
    try:
        taken = SignatureVerifier(SECRET).is_valid_request(text, headers)
    except (TypeError, ValueError):
        taken = False
    assert not taken, "Slack's own SDK has to refuse it, too"
    assert slack.send(text, headers) == (401, "")


def test_there_are_at_least_thirty():
    assert len(BROKEN) >= 30


def test_what_was_sent_before_is_refused(slack):
    text = body(slack)
    headers = slack.headers(text)
    assert slack.send(text, headers)[0] == 200
    assert slack.send(text, headers) == (401, "")


def test_a_signature_of_the_encoded_body_is_none(slack):
    text = body(slack)
    encoded = base64.b64encode(text.encode()).decode()
    assert invoke(slack, event(text, slack.headers(encoded), True))["statusCode"] == 401
    assert invoke(slack, event(text, slack.headers(text), True) | {"body": "%%%"})["statusCode"] == 401
