//! Whether an answer is complete. The SDK reads XML that ends too early, and JSON without its list, as a shorter or an empty list.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Refuses a successful answer that lacks what a complete one has.
#[derive(Debug, Clone)]
pub(super) enum Complete {
    /// An XML answer ends with this closing tag.
    EndsWith(String),
    /// A JSON answer contains this key.
    Contains(&'static str),
}

impl Complete {
    /// The answer of an operation in AWS's query protocol.
    pub(super) fn xml(operation: super::Operation) -> Self {
        Self::EndsWith(format!("</{operation}Response>"))
    }

    fn accepts(&self, body: &[u8]) -> bool {
        match self {
            Self::EndsWith(end) => body.trim_ascii_end().ends_with(end.as_bytes()),
            Self::Contains(key) => {
                let key = format!("\"{key}\"");
                body.windows(key.len()).any(|window| window == key.as_bytes())
            }
        }
    }
}

impl Intercept for Complete {
    fn name(&self) -> &'static str {
        "Complete"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if !response.status().is_success() || self.accepts(response.body().bytes().unwrap_or_default()) {
            return Ok(());
        }
        Err("the answer is not complete".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_its_end_or_its_list_is_not_complete() {
        let xml = Complete::EndsWith("</ListRolesResponse>".to_owned());
        assert!(xml.accepts(b"<ListRolesResponse></ListRolesResponse>\n"));
        assert!(!xml.accepts(b"<ListRolesResponse></ListRolesRespons") && !xml.accepts(b""));
        let json = Complete::Contains("Schedules");
        assert!(json.accepts(br#"{"Schedules":[]}"#));
        assert!(!json.accepts(b"{}") && !json.accepts(b""));
    }
}
