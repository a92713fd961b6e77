//! The guide agrees with the code.

use eks_break_glass_chat::command;
use eks_break_glass_chat::settings::Aliases;

/// The code blocks of a document that are marked as `language`.
fn blocks(document: &str, language: &str) -> Vec<String> {
    document
        .split(&format!("```{language}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_guide_to_chat_has_every_form_of_the_command_and_a_map_that_can_be_read() {
    let forms: Vec<_> = command::forms().map(|(form, purpose)| format!("| `{form}` | {purpose} |")).collect();
    let guide = include_str!("../../../docs/chat.md");
    assert!(guide.contains(&forms.join("\n")), "{}", forms.join("\n"));
    for block in blocks(guide, "json") {
        let aliases: Aliases = serde_json::from_str(&block).unwrap();
        assert!(!aliases.clusters.is_empty() && !aliases.principals.is_empty());
    }
}
