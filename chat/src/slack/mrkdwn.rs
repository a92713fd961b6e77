//! Text for Slack: what others wrote shows as they wrote it, calls nobody, links nowhere and fits.
//!
//! Source: "Formatting text for app surfaces" in Slack's documentation: `&`, `<` and `>` are all that has to be escaped, and all that
//! mentions and links are made of.

use eks_break_glass::domain::sanitize::forges;
use jiff::Timestamp;

use crate::conversation::SlackUser;

/// The longest text that is shown as code: more than the longest ARN, and the command that it stands in.
const LONGEST_CODE: usize = 1500;

/// A text with its control characters escaped.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text as code: its backticks would end it, and so would a line break; what hides or turns round would show something else.
#[must_use]
pub fn code(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| {
            if c == '`' {
                '\''
            } else if forges(c) {
                ' '
            } else {
                c
            }
        })
        .collect();
    format!("`{}`", escape(&bounded(&plain, LONGEST_CODE)))
}

/// As much of a text as has so many bytes once it is escaped, which is never more than so many characters.
#[must_use]
pub fn bounded(text: &str, most: usize) -> String {
    const MORE: char = '…';
    if escape(text).len() <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(MORE.len_utf8());
    let fits = |c: &char| {
        let size = if matches!(c, '&' | '<' | '>') { "&amp;".len() } else { c.len_utf8() };
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    text.chars().take_while(fits).chain([MORE]).collect()
}

/// A moment, which Slack shows in each reader's own time. Source: "Date formatting", ibid.
#[must_use]
pub fn date(moment: Timestamp) -> String {
    format!("<!date^{}^{{date_short_pretty}}, {{time}}|{moment}>", moment.as_second())
}

/// A mention of a user whom Slack has authenticated.
#[must_use]
pub fn mention(user: &SlackUser) -> String {
    format!("<@{}>", user.user)
}

/// Who is meant by `slack:T…/U…`, or by another name.
#[must_use]
pub fn user_or_name(name: &str) -> String {
    let user = name.strip_prefix("slack:").and_then(|ids| ids.split_once('/')).and_then(|(t, u)| SlackUser::new(t, u));
    user.map_or_else(|| code(name), |user| mention(&user))
}
