//! Principals: who can be let in, and who is refused with which reason.

use eks_break_glass::domain::principal::{Principal, PrincipalArn, PrincipalKind, permission_set_in_name};
use proptest::prelude::*;

#[test]
fn roles_keep_their_path_and_users_are_users() {
    let role =
        "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0f1e2d3c4b5a6978";
    let arn = PrincipalArn::parse(role).unwrap();
    assert_eq!(arn.as_str(), role);
    assert_eq!((arn.kind, arn.name.as_str()), (PrincipalKind::Role, "AWSReservedSSO_Admin_0f1e2d3c4b5a6978"));
    assert_eq!(
        arn.default_username(),
        "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0f1e2d3c4b5a6978/{{SessionName}}"
    );
    let user = PrincipalArn::parse("arn:aws-us-gov:iam::111122223333:user/oncall").unwrap();
    assert_eq!(user.kind, PrincipalKind::User);
    assert_eq!(user.default_username(), user.as_str());
}

#[test]
fn a_session_is_known_by_its_role() {
    let session = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0f1e2d3c4b5a6978/jane.doe@example.com";
    let Principal::Session(session) = Principal::parse(session).unwrap() else { panic!("not a session") };
    assert_eq!(session.role_name, "AWSReservedSSO_Admin_0f1e2d3c4b5a6978");
    assert_eq!(permission_set_in_name(&session.role_name), Some("Admin"));
    assert!(!session.is_of_instance());
    let instance = "arn:aws:sts::111122223333:assumed-role/KarpenterNodeRole-prod/i-0123456789abcdef0";
    let Principal::Session(session) = Principal::parse(instance).unwrap() else { panic!("not a session") };
    assert!(session.is_of_instance());
}

#[test]
fn identity_center_role_is_recognised_by_its_whole_arn() {
    let name = "AWSReservedSSO_Platform_Admin_0f1e2d3c4b5a6978";
    let role = |path: &str| PrincipalArn::parse(&format!("arn:aws:iam::111122223333:role/{path}{name}")).unwrap();
    for path in ["aws-reserved/sso.amazonaws.com/", "aws-reserved/sso.amazonaws.com/eu-west-1/"] {
        assert_eq!(role(path).permission_set(), Some("Platform_Admin"), "{path}");
        assert!(!role(path).looks_like_identity_center());
    }
    for path in [
        "",
        "sso.amazonaws.com/",
        "aws-reserved/sso.amazonaws.com/x/",
        "aws-reserved/sso.amazonaws.com/eu-west-1/x/",
        "aws-reserved/sso.amazonaws.com.evil/",
        "x/aws-reserved/sso.amazonaws.com/",
    ] {
        assert_eq!(role(path).permission_set(), None, "{path}");
        assert!(role(path).looks_like_identity_center(), "{path}");
    }
    for name in [
        "AWSReservedSSO_Admin",
        "AWSReservedSSO_Admin_0f1e2d3c4b5a697",
        "Admin_0f1e2d3c4b5a6978",
        "AWSReservedSSO__0f1e2d3c4b5a6978",
    ] {
        let arn = format!("arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/{name}");
        assert_eq!(PrincipalArn::parse(&arn).unwrap().permission_set(), None, "{name}");
    }
}

#[test]
fn path_holds_any_printable_ascii_and_nothing_else() {
    for path in ["a!b", "a//b", "a:b", "a%2Fb", "..", "*?", "$", "~", "x".repeat(510).as_str()] {
        let arn = format!("arn:aws:iam::111122223333:role/{path}/admin");
        let parsed = PrincipalArn::parse(&arn).unwrap_or_else(|why| panic!("{path}: {why}"));
        assert_eq!((parsed.name.as_str(), parsed.path(), parsed.as_str()), ("admin", path, arn.as_str()));
    }
    for path in ["a b", "a\u{e9}", "a\u{7f}", "a\n", "x".repeat(511).as_str()] {
        let arn = format!("arn:aws:iam::111122223333:role/{path}/admin");
        assert!(PrincipalArn::parse(&arn).is_err(), "{path}");
    }
}

#[test]
fn those_whom_an_entry_cannot_let_in_are_refused_with_the_reason() {
    for (arn, reason) in [
        ("arn:aws:iam::111122223333:root", "root"),
        ("arn:aws:iam::111122223333:group/admins", "group"),
        ("arn:aws:sts::111122223333:federated-user/jane", "federated user"),
        (
            "arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS",
            "service-linked",
        ),
        ("arn:aws:iam::111122223333:saml-provider/okta", "not the ARN"),
        ("arn:aws:iam::111122223333:oidc-provider/x", "not the ARN"),
        ("arn:aws:iam::aws:policy/AdministratorAccess", "account id"),
        ("arn:aws:iam::111122223333:role/", "characters"),
        ("arn:aws:iam::111122223333:role/*", "characters"),
        ("arn:aws:iam::111122223333:role/a?b", "characters"),
        ("arn:aws:iam::111122223333:role//b", "characters"),
        ("arn:aws:iam::1111:role/x", "account id"),
        ("arn:aws:iam:eu-west-1:111122223333:role/x", "region"),
        ("arn:aws-moon:iam::111122223333:role/x", "partition"),
        ("arn:aws:sts::111122223333:assumed-role/x", "session ARN"),
        ("arn:aws:sts::111122223333:assumed-role/x/y/z", "session ARN"),
        ("ARN:aws:iam::111122223333:role/x", "not an ARN"),
        ("new-cluster-admin", "not an ARN"),
        ("eks.amazonaws.com", "not an ARN"),
        ("", "not an ARN"),
    ] {
        let refusal = Principal::parse(arn).unwrap_err().to_string();
        assert!(refusal.contains(reason), "{arn}: {refusal}");
    }
}

proptest! {
    #[test]
    fn a_principals_arn_is_read_as_it_is_written(
        account in "[0-9]{12}",
        path in prop::collection::vec("[!-~]{1,12}", 0..4),
        name in "[A-Za-z0-9+=,.@_-]{1,64}",
        role in any::<bool>(),
    ) {
        prop_assume!(path.first().is_none_or(|first| first != "aws-service-role"));
        let kind = if role { "role" } else { "user" };
        let resource = path.iter().chain([&name]).cloned().collect::<Vec<_>>().join("/");
        let arn = format!("arn:aws:iam::{account}:{kind}/{resource}");
        let parsed = PrincipalArn::parse(&arn).unwrap();
        prop_assert_eq!(parsed.as_str(), arn.as_str());
        prop_assert_eq!(parsed.name, name);
    }
}
