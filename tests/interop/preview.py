"""Draws a message of Block Kit as an SVG, about as Slack shows it: enough to read it, without Slack."""

import re
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 720, 62, 24
FONT = "font-family='Lato, Helvetica, Arial, sans-serif'"
MONO = "font-family='Menlo, Consolas, monospace' fill='#c01343'"
# What Slack makes bold, slanted, or of one width; links, people and dates.
MARKS = re.compile(r"```(?P<block>.*?)```|`(?P<code>[^`\n]+)`|\*(?P<bold>[^*\n]+)\*|(?<!\w)_(?P<slanted>[^_\n]+)_(?!\w)|<(?P<link>[^>\n]+)>", re.S)


def spans(text, base=""):
    """The pieces of a mrkdwn text with how each one looks."""
    at, pieces = 0, []
    for mark in MARKS.finditer(text):
        pieces.append((plain(text[at : mark.start()]), base))
        kind, inside = mark.lastgroup, mark[mark.lastgroup]
        match kind:
            case "block" | "code":
                pieces.append((plain(inside), base + MONO))
            case "bold":
                pieces += spans(inside, base + "font-weight='bold' ")
            case "slanted":
                pieces += spans(inside, base + "font-style='italic' ")
            case "link":
                target, _, label = inside.partition("|")
                pieces.append((plain(label or target), base + "fill='#1264a3' " if target[:1] != "!" else base))
        at = mark.end()
    pieces.append((plain(text[at:]), base))
    return [piece for piece in pieces if piece[0]]


def plain(text):
    """Without Slack's escapes."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def lines(text, size, width):
    """A text object, broken where it gets too long; each line is a list of pieces."""
    most = width / (size * 0.56)
    broken, line, length = [], [], 0
    for piece, look in spans(text["text"]) if text["type"] == "mrkdwn" else [(plain(text["text"]), "")]:
        for word in re.findall(r"\n|[^\S\n]+|\S+", piece):
            if word == "\n" or (length + len(word) > most and line):
                broken.append(line)
                line, length = [], 0
                if word.isspace():
                    continue
            while len(word) > most:
                cut = int(most)
                broken.append([(word[:cut], look)])
                word = word[cut:]
            line.append((word, look))
            length += len(word)
    return broken + [line]


class Drawing:
    """What was drawn so far, and how far down."""

    def __init__(self):
        self.parts, self.y = [], 34

    def text(self, text, size=15, x=LEFT, width=WIDTH - LEFT - RIGHT, look="fill='#1d1c1d'"):
        for line in lines(text, size, width):
            self.y += size * 1.5
            pieces = "".join(f"<tspan {style}>{escape(piece)}</tspan>" for piece, style in line)
            self.parts.append(f"<text x='{x}' y='{self.y:g}' font-size='{size}' xml:space='preserve' {look}>{pieces}</text>")

    def columns(self, texts):
        width = (WIDTH - LEFT - RIGHT) / 2 - 10
        for pair in zip(texts[::2], texts[1::2] + [None]):
            top = bottom = self.y
            for column, text in enumerate(text for text in pair if text is not None):
                self.y = top
                self.text(text, x=LEFT + column * (width + 20), width=width)
                bottom = max(bottom, self.y)
            self.y = bottom + 6

    def buttons(self, elements):
        x = LEFT
        self.y += 10
        for button in elements:
            label = plain(button["text"]["text"])
            width = len(label) * 8.4 + 26
            fill, colour = {"primary": ("#007a5a", "#fff"), "danger": ("#fff", "#c01343")}.get(button.get("style"), ("#fff", "#1d1c1d"))
            edge = "#c01343" if button.get("style") == "danger" else "#bbb"
            self.parts.append(f"<rect x='{x:g}' y='{self.y:g}' width='{width:g}' height='34' rx='4' fill='{fill}' stroke='{edge}'/>")
            self.parts.append(
                f"<text x='{x + width / 2:g}' y='{self.y + 22:g}' font-size='14' font-weight='bold' text-anchor='middle' fill='{colour}'>{escape(label)}</text>"
            )
            x += width + 10
        self.y += 36

    def block(self, block):
        match block["type"]:
            case "header":
                self.text(block["text"], size=18, look="fill='#1d1c1d' font-weight='bold'")
            case "section":
                if "text" in block:
                    self.text(block["text"])
                self.columns(block.get("fields", []))
            case "context":
                for element in block["elements"]:
                    self.text(element, size=12.5, look="fill='#616061'")
            case "divider":
                self.y += 14
                self.parts.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{self.y:g}' y2='{self.y:g}' stroke='#ddd'/>")
            case "actions":
                self.buttons(block["elements"])
            case other:
                raise ValueError(f"teach this preview the block `{other}`")
        self.y += 6


def draw(message, note=""):
    """The SVG of a message; the note stands beside the app's name."""
    drawing = Drawing()
    for block in message.get("blocks") or [{"type": "section", "text": {"type": "mrkdwn", "text": message["text"]}}]:
        drawing.block(block)
    height = drawing.y + 18
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height:g}' viewBox='0 0 {WIDTH} {height:g}' {FONT}>",
            f"<rect x='.5' y='.5' width='{WIDTH - 1}' height='{height - 1:g}' rx='8' fill='#fff' stroke='#ddd'/>",
            "<rect x='14' y='16' width='36' height='36' rx='6' fill='#7a1f1f'/><text x='32' y='40' font-size='17' font-weight='bold' text-anchor='middle' fill='#fff'>bg</text>",
            f"<text x='{LEFT}' y='32' font-size='15' fill='#1d1c1d'><tspan font-weight='bold'>break-glass</tspan>"
            f"<tspan font-size='11' fill='#616061'>  APP  {escape(note)}</tspan></text>",
            *drawing.parts,
            "</svg>\n",
        ]
    )
