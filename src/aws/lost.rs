//! Answers that got lost on the way: the SDK tries again by itself, and the last answer alone does not tell what an earlier try has done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::ApiError;

/// Watches the tries of one call for one that may have taken effect although it failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost(Arc<AtomicBool>);

impl Lost {
    /// An error that knows of the tries before it.
    pub(super) fn told(&self, error: ApiError) -> ApiError {
        ApiError { lost: error.lost || self.0.load(Ordering::Relaxed), ..error }
    }
}

impl Intercept for Lost {
    fn name(&self) -> &'static str {
        "Lost"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A refusal (4xx) has no effect; all else that failed may have one.
        let refused = context.response().is_some_and(|response| response.status().is_client_error());
        let failed = context.output_or_error().is_none_or(|answer| answer.is_err());
        if failed && !refused {
            self.0.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
