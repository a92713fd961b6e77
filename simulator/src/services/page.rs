//! Lists, a page at a time.

use serde_json::{Map, Value, json};

use crate::operation::{ApiError, Page};

/// One page of a list, of at most 100 (facts §1.2; `ListAccessEntries` in the API reference). Tokens are places in it.
pub(crate) fn paged(field: &str, all: Vec<Value>, page: &Page) -> Result<Value, ApiError> {
    paged_as(field, "nextToken", all, page)
}

/// The same, of a service that calls the token otherwise.
pub(crate) fn paged_as(field: &str, token: &str, all: Vec<Value>, page: &Page) -> Result<Value, ApiError> {
    let most = page.max_results.unwrap_or(100);
    if !(1..=100).contains(&most) {
        return Err(ApiError::invalid_parameter("maxResults must be between 1 and 100"));
    }
    let from = match &page.next_token {
        None => 0,
        Some(place) => place
            .strip_prefix("from-")
            .and_then(|number| number.parse::<usize>().ok())
            .ok_or_else(|| ApiError::invalid_parameter("The nextToken parameter is not valid"))?,
    };
    let end = most.saturating_add(from);
    let next = (end < all.len()).then(|| format!("from-{end}"));
    let items: Vec<_> = all.into_iter().skip(from).take(most).collect();
    let mut shown = Map::new();
    shown.insert(field.to_owned(), json!(items));
    shown.insert(token.to_owned(), json!(next));
    Ok(Value::Object(shown))
}
