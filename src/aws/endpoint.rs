//! Where the services answer whose calls are written here, and what moves them elsewhere. The SDK knows it of the others.

use crate::region::{Partition, Region};

/// A service that is called without an SDK crate of its own. Why: `docs/decisions/0010-calls.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    EventBridge,
    Iam,
    Scheduler,
    SecretsManager,
    StepFunctions,
}

impl Service {
    /// Its name, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::EventBridge => "EventBridge",
            Self::Iam => "IAM",
            Self::Scheduler => "EventBridge Scheduler",
            Self::SecretsManager => "Secrets Manager",
            Self::StepFunctions => "Step Functions",
        }
    }

    /// Its name in hosts and signatures.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::EventBridge => "events",
            Self::Iam => "iam",
            Self::Scheduler => "scheduler",
            Self::SecretsManager => "secretsmanager",
            Self::StepFunctions => "states",
        }
    }

    /// Its name in the variables that the AWS SDKs share, such as `AWS_ENDPOINT_URL_SFN`.
    fn variable(self) -> &'static str {
        match self {
            Self::EventBridge => "EVENTBRIDGE",
            Self::Iam => "IAM",
            Self::Scheduler => "SCHEDULER",
            Self::SecretsManager => "SECRETS_MANAGER",
            Self::StepFunctions => "SFN",
        }
    }
}

/// Which of AWS's endpoints are wanted, and which are said to be elsewhere: emulators, VPC endpoints without private DNS.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints {
    pub(super) eks: Option<String>,
    pub(super) sts: Option<String>,
    moved: Vec<(Service, String)>,
    fips: bool,
    dual_stack: bool,
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Without a slash at its end.
    pub(super) url: String,
    /// The region that the call is signed for.
    pub(super) region: String,
}

impl Endpoints {
    /// What the variables say that the AWS SDKs share, read through `set`.
    pub(super) fn read(set: impl Fn(&str) -> Option<String>, fips: bool, dual_stack: bool) -> Self {
        let moved = |service: &str| set(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| set("AWS_ENDPOINT_URL"));
        let services =
            [Service::EventBridge, Service::Iam, Service::Scheduler, Service::SecretsManager, Service::StepFunctions];
        Self {
            eks: moved("EKS"),
            sts: moved("STS"),
            moved: services
                .into_iter()
                .filter_map(|service| Some((service, moved(service.variable())?.trim_end_matches('/').to_owned())))
                .collect(),
            fips,
            dual_stack,
        }
    }

    /// Where a service answers for a region.
    pub(super) fn of(&self, service: Service, region: &Region) -> Endpoint {
        let (host, region) = match service {
            Service::Iam => {
                let (host, region) = iam(Partition::of_region(region), self.fips, self.dual_stack);
                (host.to_owned(), region.to_owned())
            }
            _ => (self.regional(service, region), region.to_string()),
        };
        let moved = self.moved.iter().find(|(moved, _)| *moved == service);
        Endpoint { url: moved.map_or_else(|| format!("https://{host}"), |(_, url)| url.clone()), region }
    }

    fn regional(&self, service: Service, region: &Region) -> String {
        let partition = Partition::of_region(region);
        let gov = partition == Partition::AwsUsGov;
        let classic = matches!(partition, Partition::Aws | Partition::AwsCn | Partition::AwsUsGov);
        // The ways in which services differ from the rule. Source: their endpoint rules, which the AWS SDKs carry.
        let dual_stack = self.dual_stack && !(service == Service::SecretsManager && classic);
        let fips = match service {
            Service::EventBridge => self.fips && !gov,
            Service::StepFunctions if gov && dual_stack => true,
            Service::StepFunctions => self.fips && region.as_str() != "us-gov-west-1",
            _ => self.fips,
        };
        let suffix = if dual_stack { partition.dual_stack_dns_suffix() } else { partition.dns_suffix() };
        format!("{}{}.{region}.{suffix}", service.signing_name(), if fips { "-fips" } else { "" })
    }
}

/// IAM's host, one for a whole partition, and the region that calls to it are signed for. Source: IAM's endpoint rules.
fn iam(partition: Partition, fips: bool, dual_stack: bool) -> (&'static str, &'static str) {
    let (region, [plain, plain_fips, dual, dual_fips]) = match partition {
        Partition::Aws => (
            "us-east-1",
            ["iam.amazonaws.com", "iam-fips.amazonaws.com", "iam.global.api.aws", "iam-fips.global.api.aws"],
        ),
        Partition::AwsCn => (
            "cn-north-1",
            [
                "iam.cn-north-1.amazonaws.com.cn",
                "iam-fips.amazonaws.com.cn",
                "iam.global.api.amazonwebservices.com.cn",
                "iam-fips.api.amazonwebservices.com.cn",
            ],
        ),
        Partition::AwsUsGov => (
            "us-gov-west-1",
            ["iam.us-gov.amazonaws.com", "iam.us-gov.amazonaws.com", "iam.us-gov.api.aws", "iam.us-gov.api.aws"],
        ),
        Partition::AwsEusc => (
            "eusc-de-east-1",
            [
                "iam.eusc-de-east-1.amazonaws.eu",
                "iam-fips.amazonaws.eu",
                "iam.global.api.amazonwebservices.eu",
                "iam-fips.api.amazonwebservices.eu",
            ],
        ),
        Partition::AwsIso => (
            "us-iso-east-1",
            [
                "iam.us-iso-east-1.c2s.ic.gov",
                "iam-fips.us-iso-east-1.c2s.ic.gov",
                "iam.api.aws.ic.gov",
                "iam-fips.api.aws.ic.gov",
            ],
        ),
        Partition::AwsIsoB => (
            "us-isob-east-1",
            [
                "iam.us-isob-east-1.sc2s.sgov.gov",
                "iam-fips.us-isob-east-1.sc2s.sgov.gov",
                "iam.api.aws.scloud",
                "iam-fips.api.aws.scloud",
            ],
        ),
        Partition::AwsIsoE => (
            "eu-isoe-west-1",
            [
                "iam.eu-isoe-west-1.cloud.adc-e.uk",
                "iam-fips.cloud.adc-e.uk",
                "iam.api.cloud-aws.adc-e.uk",
                "iam-fips.api.cloud-aws.adc-e.uk",
            ],
        ),
        Partition::AwsIsoF => (
            "us-isof-south-1",
            [
                "iam.us-isof-south-1.csp.hci.ic.gov",
                "iam-fips.csp.hci.ic.gov",
                "iam.api.aws.hci.ic.gov",
                "iam-fips.api.aws.hci.ic.gov",
            ],
        ),
    };
    let host = match (fips, dual_stack) {
        (false, false) => plain,
        (true, false) => plain_fips,
        (false, true) => dual,
        (true, true) => dual_fips,
    };
    (host, region)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What AWS's own rules say; `tests/witness/test_endpoints.py` holds the file against botocore's copy of them.
    const RULES: &str = include_str!("../../tests/fixtures/endpoints.csv");

    #[test]
    fn each_service_answers_where_the_sdks_would_look_for_it() -> Result<(), String> {
        let services =
            [Service::EventBridge, Service::Iam, Service::Scheduler, Service::SecretsManager, Service::StepFunctions];
        let mut rows = 0;
        for row in RULES.lines() {
            let [name, region, fips, dual_stack, url, signing_region] = row.split(',').collect::<Vec<_>>()[..] else {
                return Err(format!("not a row: {row}"));
            };
            let service = services.into_iter().find(|service| service.signing_name() == name);
            let endpoints = Endpoints::read(|_| None, fips == "fips", dual_stack == "dual");
            let region = Region::parse(region).map_err(|error| error.to_string())?;
            let expected = Endpoint { url: url.to_owned(), region: signing_region.to_owned() };
            assert_eq!(service.map(|service| endpoints.of(service, &region)), Some(expected), "{row}");
            rows += 1;
        }
        assert!(rows > 150, "only {rows} rows");
        Ok(())
    }

    #[test]
    fn a_variable_of_the_service_goes_before_that_of_all() -> Result<(), String> {
        let set = |name: &str| match name {
            "AWS_ENDPOINT_URL_IAM" => Some("http://iam:1/".to_owned()),
            "AWS_ENDPOINT_URL" => Some("http://all:1".to_owned()),
            _ => None,
        };
        let endpoints = Endpoints::read(set, false, false);
        let region = Region::parse("eu-west-1").map_err(|error| error.to_string())?;
        let url = |service| endpoints.of(service, &region).url;
        assert_eq!(
            (url(Service::Iam), url(Service::Scheduler)),
            ("http://iam:1".to_owned(), "http://all:1".to_owned())
        );
        assert_eq!(endpoints.eks.as_deref(), Some("http://all:1"));
        Ok(())
    }
}
