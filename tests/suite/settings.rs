//! Settings: defaults, and what is said of wrong ones.

use std::collections::HashMap;

use eks_break_glass::domain::arn::FunctionArn;
use eks_break_glass::input::settings::Settings;

/// Settings from a few variables; `AWS_REGION` is there.
pub(crate) fn settings(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let mut environment: HashMap<&str, &str> = HashMap::from([("AWS_REGION", "eu-west-1")]);
    environment.extend(variables.iter().copied());
    Settings::read(|name| environment.get(name).map(|&value| value.to_owned())).map_err(|wrong| wrong.0)
}

/// The function's own ARN, as it was invoked without a qualifier.
pub(crate) fn function() -> FunctionArn {
    FunctionArn::parse(crate::harness::FUNCTION).unwrap()
}

#[test]
fn nothing_set_is_the_documented_default() {
    let settings = settings(&[]).unwrap();
    assert_eq!(settings.allowed_clusters, ["*"]);
    assert_eq!(settings.allowed_principals, None, "any principal of the cluster's own account");
    assert_eq!((settings.allowed_groups, settings.allowed_accounts), (Vec::new(), Vec::new()));
    assert!(!settings.require_approval && !settings.grants_frozen);
    assert_eq!(settings.emergency_max_duration, Some(jiff::SignedDuration::from_hours(1)));
    assert_eq!(settings.allowed_policies, ["AmazonEKSClusterAdminPolicy"]);
    assert!(settings.allow_authentication_mode_change && !settings.require_reason);
    assert_eq!(settings.schedule, None);
    assert_eq!(settings.target_role, None);
}

#[test]
fn an_empty_variable_is_the_same_as_none() {
    let settings = settings(&[("MAX_DURATION", ""), ("EVENT_BUS", " "), ("SCHEDULE_GROUP", "")]).unwrap();
    assert_eq!((settings.max_duration, settings.event_bus, settings.schedule), (None, None, None));
}

#[test]
fn every_wrong_setting_is_named_at_once() {
    let wrong = settings(&[
        ("AWS_REGION", "nowhere"),
        ("ALLOWED_CLUSTERS", " , "),
        ("ALLOWED_PRINCIPALS", ""),
        ("ALLOWED_POLICIES", "AmazonEKSViewPolicy,arn:aws:iam::aws:policy/AdministratorAccess"),
        ("ALLOW_AUTHENTICATION_MODE_CHANGE", "yes"),
        ("REQUIRE_REASON", "1"),
        ("DEFAULT_DURATION", "1d"),
        ("MAX_DURATION", "30s"),
        ("SCHEDULE_GROUP", "break-glass"),
        ("SCHEDULE_DLQ_ARN", "queue"),
        ("TARGET_EXTERNAL_ID", "secret"),
        ("LOG_LEVEL", "LOUD"),
    ])
    .unwrap_err();
    for name in [
        "AWS_REGION",
        "ALLOWED_CLUSTERS",
        "ALLOWED_PRINCIPALS",
        "ALLOWED_POLICIES",
        "ALLOW_AUTHENTICATION_MODE_CHANGE",
        "REQUIRE_REASON",
        "DEFAULT_DURATION",
        "MAX_DURATION",
        "SCHEDULE_ROLE_ARN",
        "SCHEDULE_DLQ_ARN",
        "TARGET_EXTERNAL_ID",
        "LOG_LEVEL",
    ] {
        assert!(wrong.iter().any(|text| text.contains(name)), "{name} is not named in {wrong:?}");
    }
}

#[test]
fn a_default_longer_than_the_maximum_is_refused() {
    let wrong = settings(&[("DEFAULT_DURATION", "2h"), ("MAX_DURATION", "1h")]).unwrap_err();
    assert!(wrong[0].contains("DEFAULT_DURATION"), "{wrong:?}");
}

#[test]
fn policies_are_taken_by_name_and_by_arn() {
    let settings = settings(&[(
        "ALLOWED_POLICIES",
        "AmazonEKSViewPolicy, arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
    )])
    .unwrap();
    assert_eq!(settings.allowed_policies, ["AmazonEKSViewPolicy", "AmazonEKSEditPolicy"]);
}

#[test]
fn names_and_arns_that_cannot_be_such_are_named() {
    let role = "arn:aws:iam::111122223333:role/eks-break-glass-schedules";
    for (variables, wrong) in [
        (vec![("SCHEDULE_GROUP", "bad group!"), ("SCHEDULE_ROLE_ARN", role)], vec!["`SCHEDULE_GROUP`"]),
        (
            vec![("SCHEDULE_GROUP", "grants"), ("SCHEDULE_ROLE_ARN", "arn:aws:iam::x:user/y")],
            vec!["`SCHEDULE_ROLE_ARN`"],
        ),
        (vec![("SCHEDULE_DLQ_ARN", "arn:aws:sqs:eu-west-1:111122223333:q")], vec!["`SCHEDULE_DLQ_ARN`"]),
        (vec![("TARGET_ROLE_NAME", "bad role/*")], vec!["`TARGET_ROLE_NAME`"]),
        (vec![("EVENT_BUS", "bad bus!")], vec!["`EVENT_BUS`"]),
        (
            vec![("EVENT_BUS", "arn:aws:sns:eu-west-1:111122223333:t"), ("TARGET_ROLE_NAME", "a b")],
            vec!["`EVENT_BUS`", "`TARGET_ROLE_NAME`"],
        ),
    ] {
        let refused = settings(&variables).unwrap_err().join("; ");
        for name in wrong {
            assert!(refused.contains(name), "{variables:?}: {refused}");
        }
    }
    settings(&[("EVENT_BUS", "default")]).unwrap();
    settings(&[("EVENT_BUS", "arn:aws:events:eu-west-1:111122223333:event-bus/security")]).unwrap();
}
