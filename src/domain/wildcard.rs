//! Patterns with `*` and `?`, as in IAM: `*` stands for any run of characters, `/` and `:` included.

/// Whether `text` is one of those that `pattern` stands for. Case counts.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut pos) = (0, 0);
    // Where to go on when what follows the latest `*` turns out not to fit: let that `*` take one more.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&character) = text.get(pos) {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                retry = Some((at, pos));
            }
            Some(&wanted) if wanted == '?' || wanted == character => {
                at += 1;
                pos += 1;
            }
            _ => match retry {
                Some((after_star, taken)) => {
                    at = after_star;
                    pos = taken + 1;
                    retry = Some((after_star, pos));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|&rest| rest == '*')
}

/// Whether an ARN is one of those that `pattern` stands for, as IAM's `ArnLike` sees it: of a pattern with the six fields of an ARN, each
/// field is compared by itself, so that a colon in an IAM path can't pass for the end of a field.
#[must_use]
pub fn matches_arn(pattern: &str, arn: &str) -> bool {
    let fields = |text: &'_ str| -> Vec<String> { text.splitn(6, ':').map(str::to_owned).collect() };
    let (patterns, texts) = (fields(pattern), fields(arn));
    if patterns.len() < 6 {
        return matches(pattern, arn);
    }
    texts.len() == 6 && patterns.iter().zip(&texts).all(|(pattern, text)| matches(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_arn};

    #[test]
    fn a_star_does_not_cross_the_fields_of_an_arn() {
        let team = "arn:aws:iam::*:role/team/*";
        assert!(matches_arn(team, "arn:aws:iam::111122223333:role/team/a/b:c"));
        for other in
            ["arn:aws:iam::111122223333:role/x:role/team/admin", "arn:aws:iam::111122223333:user/x:role/team/a"]
        {
            assert!(matches(team, other) && !matches_arn(team, other), "{other}");
        }
        assert!(matches_arn("*", "arn:aws:iam::111122223333:role/x") && matches_arn("*/x", "arn:aws:iam::1:role/x"));
    }

    #[test]
    fn a_star_crosses_slashes_and_a_question_mark_is_one_character() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "anything/at:all"),
            ("prod-*", "prod-eu-1"),
            ("arn:aws:iam::*:role/*Admin*", "arn:aws:iam::1:role/a/b/xAdminy"),
            ("prod-?", "prod-1"),
            ("a*b*c", "abbbc"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} takes {text}");
        }
        for (pattern, text) in [
            ("", "x"),
            ("prod", "production"),
            ("prod", "PROD"),
            ("prod-?", "prod-"),
            ("prod-?", "prod-12"),
            ("a*b", "abc"),
            ("prod", "*"),
        ] {
            assert!(!matches(pattern, text), "{pattern} leaves {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        assert!(!matches(&"*a".repeat(50), &"a".repeat(49).repeat(50).replace('a', "b")));
    }
}
