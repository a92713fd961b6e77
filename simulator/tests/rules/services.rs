//! IAM and STS.

use simulator::World;
use simulator::operation::{Operation, Page};
use simulator::policy::Policy;
use simulator::world::{Caller, Cluster, Entry, Mode, Principal};

use crate::{ROLE, call, call_as, describe, describe_cluster, refusal, world};

const THERE: &str = "arn:aws:iam::444455556666:role/eks-break-glass-target";

fn assume(external_id: Option<&str>) -> Operation {
    Operation::AssumeRole {
        role_arn: THERE.to_owned(),
        session_name: "grant".to_owned(),
        external_id: external_id.map(str::to_owned),
        policy: None,
    }
}

fn inside<'a>(xml: &'a str, element: &str) -> &'a str {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    xml.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)).map_or("", |(text, _)| text)
}

#[test]
fn everybody_may_ask_who_they_are() {
    let mut world = world(Mode::Api).with_policy(Policy::allow_all().without(&["*"]));
    let answer = call(&mut world, &Operation::GetCallerIdentity).unwrap();
    let xml = answer.as_str().unwrap();
    assert_eq!(inside(xml, "Account"), "111122223333");
    assert_eq!(inside(xml, "Arn"), "arn:aws:sts::111122223333:assumed-role/eks-break-glass/eks-break-glass");
    assert!(inside(xml, "UserId").ends_with(":eks-break-glass"));
}

#[test]
fn a_role_is_found_by_its_name_whatever_its_path() {
    let answer = call(&mut world(Mode::Api), &Operation::GetRole { name: "Ops".to_owned() }).unwrap();
    let xml = answer.as_str().unwrap();
    assert_eq!((inside(xml, "Arn"), inside(xml, "Path")), (ROLE, "/team/"));
    assert!(inside(xml, "RoleId").starts_with("AROA"));
    let answer = call(&mut world(Mode::Api), &Operation::GetUser { name: "alice".to_owned() }).unwrap();
    let xml = answer.as_str().unwrap();
    assert_eq!((inside(xml, "UserName"), inside(xml, "Path")), ("alice", "/"));
    assert!(inside(xml, "UserId").starts_with("AIDA"));
}

#[test]
fn a_principal_that_is_not_there_is_no_such_entity() {
    for (operation, message) in [
        (Operation::GetRole { name: "X".to_owned() }, "The role with name X cannot be found."),
        (Operation::GetUser { name: "X".to_owned() }, "The user with name X cannot be found."),
        (Operation::GetUser { name: "Ops".to_owned() }, "The user with name Ops cannot be found."),
    ] {
        let refused = refusal(&mut world(Mode::Api), &operation);
        assert_eq!(refused, (404, "NoSuchEntity", message.to_owned()));
    }
}

#[test]
fn a_principal_that_was_made_anew_has_another_id_and_date() {
    let mut world = World::new().with_principal(Principal::new(ROLE).recreated_at(crate::seconds(10)));
    let mut look = |now| {
        world.advance_to(crate::seconds(now));
        let answer = call(&mut world, &Operation::GetRole { name: "Ops".to_owned() }).unwrap();
        let xml = answer.as_str().unwrap().to_owned();
        (inside(&xml, "Arn").to_owned(), inside(&xml, "RoleId").to_owned(), inside(&xml, "CreateDate").to_owned())
    };
    let (before, after) = (look(0), look(10));
    assert_eq!(before.0, after.0);
    assert_ne!(before.1, after.1);
    assert!(before.2 < after.2);
}

#[test]
fn an_assumed_role_works_in_its_own_account() {
    let there = Cluster::new("prod", Mode::Api).at("444455556666", "eu-west-1");
    let arn = there.arn();
    let mut world = world(Mode::Api).with_cluster(there).with_entry(&arn, Entry::new(ROLE)).with_assumable_role(
        THERE,
        "111122223333",
        Some("secret"),
        Policy::allowing(&["eks:Describe*"]),
    );
    let answer = call(&mut world, &assume(Some("secret"))).unwrap();
    let key = inside(answer.as_str().unwrap(), "AccessKeyId").to_owned();
    let session = "arn:aws:sts::444455556666:assumed-role/eks-break-glass-target/grant";
    assert_eq!(inside(answer.as_str().unwrap(), "Arn"), session);
    let shown = call_as(&mut world, &key, &describe_cluster()).unwrap();
    assert_eq!(shown["cluster"]["arn"], arn.as_str());
    call_as(&mut world, &key, &describe(ROLE)).unwrap();
    let error = call_as(&mut world, &key, &crate::delete(ROLE)).unwrap_err();
    assert!(error.message.starts_with(&format!("User: {session} is not authorized")), "{}", error.message);
}

#[test]
fn a_role_is_assumed_by_whom_it_trusts_alone() {
    let caller = "arn:aws:sts::111122223333:assumed-role/eks-break-glass/eks-break-glass";
    let role = "arn:aws:iam::111122223333:role/service-role/eks-break-glass";
    for (trusted, external_id, trusts) in [
        ("111122223333", None, true),
        ("arn:aws:iam::111122223333:root", None, true),
        (role, None, true),
        (caller, None, true),
        ("111122223333", Some("secret"), false),
        ("999999999999", None, false),
        ("arn:aws:iam::111122223333:role/another", None, false),
    ] {
        let mut world = World::new().with_assumable_role(THERE, trusted, external_id, Policy::allow_all());
        assert_eq!(call(&mut world, &assume(None)).is_ok(), trusts, "{trusted} {external_id:?}");
    }
}

#[test]
fn a_wrong_external_id_is_denied_in_sts_s_words() {
    let mut world = World::new().with_assumable_role(THERE, "111122223333", Some("secret"), Policy::allow_all());
    let (status, code, message) = refusal(&mut world, &assume(Some("guess")));
    assert_eq!((status, code), (403, "AccessDenied"));
    let caller = "arn:aws:sts::111122223333:assumed-role/eks-break-glass/eks-break-glass";
    assert_eq!(message, format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {THERE}"));
}

#[test]
fn a_session_s_name_has_its_alphabet() {
    let mut world = World::new().with_assumable_role(THERE, "111122223333", None, Policy::allow_all());
    for session_name in ["x", "a b", "<Arn>"] {
        let operation = Operation::AssumeRole {
            role_arn: THERE.to_owned(),
            session_name: session_name.to_owned(),
            external_id: None,
            policy: None,
        };
        assert_eq!(refusal(&mut world, &operation).1, "ValidationError");
    }
}

#[test]
fn callers_are_known_by_their_access_keys() {
    let alice = Caller {
        arn: crate::USER.to_owned(),
        account: "111122223333".to_owned(),
        user_id: "AIDAALICE".to_owned(),
        policy: Policy::allowing(&[]),
    };
    let mut world = world(Mode::Api).with_caller("AKIAALICE", alice);
    assert_eq!(call_as(&mut world, "AKIAALICE", &describe_cluster()).unwrap_err().status, 403);
    call_as(&mut world, "AKIAANYTHING", &describe_cluster()).unwrap();
}

#[test]
fn iam_lists_the_living_roles_of_the_callers_account_by_path_and_page() {
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let mut world = World::new()
        .with_principal(Principal::new(&role("a")))
        .with_principal(Principal::new(&role("team/b")))
        .with_principal(Principal::new(&role("team/c")).deleted_at(World::START))
        .with_principal(Principal::new("arn:aws:iam::111122223333:user/u"))
        .with_principal(Principal::new("arn:aws:iam::999999999999:role/d"));
    let mut list = |path: Option<&str>, max_results, next_token: Option<&str>| {
        let page = Page { max_results, next_token: next_token.map(str::to_owned) };
        let operation = Operation::ListRoles { path_prefix: path.map(str::to_owned), page };
        call(&mut world, &operation).unwrap().as_str().unwrap().to_owned()
    };
    let all = list(None, None, None);
    assert!(all.contains("role/a<") && all.contains("role/team/b<") && all.contains("<IsTruncated>false<"));
    assert!(!all.contains("role/team/c<") && !all.contains("user/u") && !all.contains("role/d<"));
    assert!(!list(Some("/team/"), None, None).contains("role/a<"));
    let first = list(None, Some(1), None);
    assert!(first.contains("role/a<") && first.contains("<IsTruncated>true</IsTruncated><Marker>1</Marker>"));
    assert!(list(None, Some(1), Some("1")).contains("role/team/b<"));
}

#[test]
fn iam_lists_in_order_of_name_whatever_the_path() {
    let user = |name: &str| Principal::new(&format!("arn:aws:iam::111122223333:user/{name}"));
    let mut world = World::new().with_principal(user("a/z")).with_principal(user("m")).with_principal(user("z/b"));
    let operation = Operation::ListUsers { path_prefix: None, page: Page::default() };
    let answer = call(&mut world, &operation).unwrap();
    let names = answer.as_str().unwrap().split("<member>").skip(1).map(|member| inside(member, "UserName"));
    assert_eq!(names.collect::<Vec<_>>(), ["b", "m", "z"]);
}

#[test]
fn an_iam_list_has_its_permission_and_its_bounds() {
    let roles = |max_results| Operation::ListRoles { path_prefix: None, page: Page { max_results, next_token: None } };
    for most in [0, 1001] {
        assert_eq!(refusal(&mut world(Mode::Api), &roles(Some(most))).1, "ValidationError");
    }
    call(&mut world(Mode::Api), &roles(Some(1000))).unwrap();
    let mut denied = world(Mode::Api).with_policy(Policy::allowing(&["iam:ListUsers"]));
    let (status, code, message) = refusal(&mut denied, &roles(None));
    assert_eq!((status, code), (403, "AccessDenied"));
    assert!(message.contains("iam:ListRoles on resource: arn:aws:iam::111122223333:role/ "), "{message}");
    call(&mut denied, &Operation::ListUsers { path_prefix: None, page: Page::default() }).unwrap();
}
