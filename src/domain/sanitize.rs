//! Text that others wrote, before people read it: nothing in it may forge a line of a log, colour a terminal, hide,
//! turn the direction of reading round, or go on for ever.

/// The longest text that is shown whole, in characters; of a longer one, its beginning and its end.
const LONGEST_SHOWN: usize = 1000;

/// Whether a character has no place in a line that people read: controls, breaks of lines, and what hides or changes the
/// direction ("Trojan Source", CVE-2021-42574). Joiners stay, which Persian and some emoji need.
#[must_use]
pub fn forges(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Whether a text says anything at all: it has a letter or a digit. Hangul's fillers are letters that show nothing.
#[must_use]
pub fn says_something(text: &str) -> bool {
    let filler = |c| matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
    text.chars().any(|c| c.is_alphanumeric() && !filler(c))
}

/// The text on one line, with what has no place there written out, such as `\u{1b}`.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if forges(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// The same, and not endless.
#[must_use]
pub fn shown(text: &str) -> String {
    // Before, because it may be megabytes, and after, because writing out makes it longer.
    shortened(&one_line(&shortened(text)))
}

/// The beginning and the end: a message names a field where it begins and says what to do where it ends.
fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST_SHOWN {
        return text.to_owned();
    }
    let half = LONGEST_SHOWN / 2;
    let beginning: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(length - half).collect();
    format!("{beginning} … {end}")
}

/// A value in single quotes, as a POSIX shell reads it.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::{one_line, says_something, shown};

    #[test]
    fn what_forges_is_written_out_and_all_else_stays() {
        assert_eq!(one_line("a\nb\u{1b}[31m\u{202e}\0"), "a\\nb\\u{1b}[31m\\u{202e}\\u{0}");
        for harmless in ["déjà vu, 東京", "👩\u{200d}🚒", "می\u{200c}خواهم", "`x`: \"y\" \\ *"] {
            assert_eq!(one_line(harmless), harmless);
        }
    }

    #[test]
    fn a_long_text_keeps_its_ends() {
        let text = shown(&format!("begin{}end", "é".repeat(1_000_000)));
        assert!(text.starts_with("begin") && text.ends_with("end") && text.chars().count() < 1010);
        let text = shown(&"\u{e0041}".repeat(999));
        assert!(text.chars().count() < 1010, "what is written out is longer");
    }

    #[test]
    fn what_nobody_can_see_says_nothing() {
        for nothing in ["", "  ", "\u{2800}", "\u{3164}\u{115f}", "\u{200d}", "-.!"] {
            assert!(!says_something(nothing), "{nothing:?}");
        }
        assert!(says_something("INC-1") && says_something("東京") && says_something("7"));
    }
}
