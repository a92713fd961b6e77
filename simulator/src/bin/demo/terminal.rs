//! What the demo looks like: plain text in columns, with colours where a person looks at it.

use std::io::{self, IsTerminal as _, Write as _};

/// The widest line, in characters.
const WIDTH: usize = 100;

/// The column where a field's value, or a step's detail, begins.
const VALUE: usize = 18;
const DETAIL: usize = 44;

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    colours: bool,
}

/// How something is emphasised where there are colours.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Plain,
    Strong,
    Faint,
    Good,
    Warning,
    Bad,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
        }
    }
}

impl Terminal {
    /// With colours on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn new(no_color: Option<&std::ffi::OsStr>) -> Self {
        let wanted = no_color.is_none_or(std::ffi::OsStr::is_empty);
        Self { colours: wanted && io::stdout().is_terminal() }
    }

    /// A numbered part of the story.
    pub(crate) fn heading(self, text: &str) -> io::Result<()> {
        self.write(&format!("\n{}\n", self.paint(Style::Strong, text)))
    }

    /// Text of its own, of one line or several.
    pub(crate) fn text(self, style: Style, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| self.write(&format!("  {}", self.paint(style, line))))
    }

    /// A name and its value, which may be long.
    pub(crate) fn field(self, name: &str, style: Style, value: &str) -> io::Result<()> {
        let mut name = format!("{name:<width$}", width = VALUE - 2);
        for line in wrap(value, WIDTH - VALUE) {
            let value = self.paint(style, line);
            self.write(&format!("  {}{value}", self.paint(Style::Faint, &name)))?;
            name = " ".repeat(VALUE - 2);
        }
        Ok(())
    }

    /// A name and a value to be copied, whose lines stay as they are.
    pub(crate) fn verbatim(self, name: &str, style: Style, value: &str) -> io::Result<()> {
        self.text(Style::Faint, name)?;
        value.lines().try_for_each(|line| self.write(&format!("    {}", self.paint(style, line))))
    }

    /// A step of the function, as its log tells of it, some seconds after the event was sent.
    pub(crate) fn step(self, seconds: f64, step: &Step<'_>) -> io::Result<()> {
        let (mark, style) = match step.outcome {
            "SUCCEEDED" => ("✓", Style::Good),
            "FAILED" => ("✗", Style::Bad),
            "PLANNED" => ("·", Style::Plain),
            _ => ("–", Style::Faint),
        };
        let seconds = self.paint(Style::Faint, &format!("{seconds:5.1} s"));
        let mut head =
            format!("  {seconds}  {} {:<width$}", self.paint(style, mark), step.operation, width = DETAIL - 13);
        for line in wrap(step.detail, WIDTH - DETAIL) {
            self.write(&format!("{head}{}", self.paint(Style::Faint, line)))?;
            head = " ".repeat(DETAIL);
        }
        Ok(())
    }

    /// A command and what it says.
    pub(crate) fn command(self, command: &str, style: Style, output: &str) -> io::Result<()> {
        self.text(Style::Faint, &format!("$ {command}"))?;
        self.text(style, output)
    }

    fn paint(self, style: Style, text: &str) -> String {
        if self.colours && !style.code().is_empty() {
            format!("\u{1b}[{}m{text}\u{1b}[0m", style.code())
        } else {
            text.to_owned()
        }
    }

    fn write(self, text: &str) -> io::Result<()> {
        let text = if self.colours { text } else { text.trim_end_matches(' ') };
        writeln!(io::stdout().lock(), "{text}")
    }
}

/// A step, as the function's log tells of it.
pub(crate) struct Step<'a> {
    pub(crate) operation: &'a str,
    pub(crate) outcome: &'a str,
    pub(crate) detail: &'a str,
}

/// The text in lines of at most `width` characters, broken at spaces; at least one line, perhaps empty.
fn wrap(text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    for mut rest in text.split('\n') {
        while let Some((limit, _)) = rest.char_indices().nth(width) {
            let room = rest.get(..=limit).unwrap_or(rest);
            let Some((line, after)) =
                room.rfind(' ').or_else(|| rest.find(' ')).and_then(|space| rest.split_at_checked(space))
            else {
                break;
            };
            lines.push(line);
            rest = after.trim_start();
        }
        lines.push(rest);
    }
    lines
}
