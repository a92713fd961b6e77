//! Endpoints that the environment overrides: emulators, VPC endpoints without private DNS. All others follow from the SDK's own rules.

use std::collections::BTreeMap;

/// A service that this program calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "AWS's own names")]
pub enum Service {
    Eks,
    EventBridge,
    Iam,
    Scheduler,
    SecretsManager,
    StepFunctions,
    Sts,
}

impl Service {
    const ALL: [Self; 7] = [
        Self::Eks,
        Self::EventBridge,
        Self::Iam,
        Self::Scheduler,
        Self::SecretsManager,
        Self::StepFunctions,
        Self::Sts,
    ];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eks => "EKS",
            Self::EventBridge => "EventBridge",
            Self::Iam => "IAM",
            Self::Scheduler => "EventBridge Scheduler",
            Self::SecretsManager => "Secrets Manager",
            Self::StepFunctions => "Step Functions",
            Self::Sts => "STS",
        }
    }

    /// The end of its environment variable. Source: "Service-specific endpoints" in the AWS SDKs and Tools Reference Guide.
    fn variable(self) -> &'static str {
        match self {
            Self::Eks => "EKS",
            Self::EventBridge => "EVENTBRIDGE",
            Self::Iam => "IAM",
            Self::Scheduler => "SCHEDULER",
            Self::SecretsManager => "SECRETS_MANAGER",
            Self::StepFunctions => "SFN",
            Self::Sts => "STS",
        }
    }
}

/// The overridden endpoints.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints(BTreeMap<Service, String>);

impl Endpoints {
    /// Reads `AWS_ENDPOINT_URL_<SERVICE>`, else `AWS_ENDPOINT_URL`, through `set`.
    pub(super) fn read(set: impl Fn(&str) -> Option<String>) -> Self {
        let url = |service: Service| {
            set(&format!("AWS_ENDPOINT_URL_{}", service.variable())).or_else(|| set("AWS_ENDPOINT_URL"))
        };
        Self(Service::ALL.into_iter().filter_map(|service| Some((service, url(service)?))).collect())
    }

    /// The overridden endpoint of a service; `None` leaves it to the SDK.
    pub(super) fn of(&self, service: Service) -> Option<String> {
        self.0.get(&service).cloned()
    }
}
