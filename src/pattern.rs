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

#[cfg(test)]
mod tests {
    use super::matches;

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
