//! As much XML as the query protocol's answers need.

use aws_smithy_xml::decode::{Document, try_data};

/// The texts of the elements that have these names, wherever they are, in their order. `None`: it is no XML.
pub(super) fn texts<'a>(xml: &[u8], wanted: &[&'a str]) -> Option<Vec<(&'a str, String)>> {
    let mut document = Document::try_from(xml).ok()?;
    let mut texts = Vec::new();
    let mut root = true;
    while let Some(element) = document.next_start_element() {
        root = false;
        if let Some(name) = wanted.iter().find(|name| element.matches(name)) {
            let text = try_data(&mut document.scoped_to(element)).ok()?;
            texts.push((*name, text.trim().to_owned()));
        }
    }
    (!root).then_some(texts)
}
