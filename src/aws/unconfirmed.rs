//! Changes that may have been made although the call failed: the SDK retries by itself, and the last answer alone doesn't show what an
//! earlier attempt has done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::ApiError;

/// Watches the attempts of one call for one that may have taken effect although it failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Unconfirmed(Arc<AtomicBool>);

impl Unconfirmed {
    /// Adds to an error what was seen of the attempts before it.
    pub(super) fn mark(&self, error: ApiError) -> ApiError {
        ApiError { unconfirmed: error.unconfirmed || self.0.load(Ordering::Relaxed), ..error }
    }
}

impl Intercept for Unconfirmed {
    fn name(&self) -> &'static str {
        "Unconfirmed"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A refusal (4xx) has no effect. Any other failure may have one.
        let refused = context.response().is_some_and(|response| response.status().is_client_error());
        let failed = context.output_or_error().is_none_or(|answer| answer.is_err());
        if failed && !refused {
            self.0.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
