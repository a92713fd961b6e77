"""The messages of docs/chat.md: what the chat function really posts, and drawings of it."""

import json
import os
import re

from conftest import ROOT
from preview import draw

FOLDER = ROOT / "docs/chat"
# What is different each time.
PASSING = [
    (r"<!date\^\d+\^([^|>]*)\|[^>]*>", r"<!date^1795543200^\1|2026-11-24 18:00 UTC>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "2026-11-24T18:00:00Z"),
    (r"AWS request id [0-9a-f-]+", "AWS request id 5ca1ab1e-0000-4000-8000-ca1100000001"),
    (r"slack-[0-9a-f]{32}", "slack-0123456789abcdef0123456789abcdef"),
    (r'"value": "(\\.|[^"\\])*"', '"value": "…"'),
    (r'"thread_ts": "[^"]*"', '"thread_ts": "1700000000.000001"'),
]


def same_as_preview(name, message, note=""):
    """Whether a message is the one that the documentation shows; `make previews` has it shown."""
    text = json.dumps(message, indent=2, ensure_ascii=False, sort_keys=True)
    for passing, lasting in PASSING:
        text = re.sub(passing, lasting, text)
    files = {f"{name}.json": text + "\n", f"{name}.svg": draw(json.loads(text), note)}
    if os.environ.get("UPDATE_PREVIEWS"):
        FOLDER.mkdir(exist_ok=True)
        for file, content in files.items():
            (FOLDER / file).write_text(content)
    for file, content in files.items():
        assert (FOLDER / file).read_text() == content, f"{file} is not what is posted; make previews"
