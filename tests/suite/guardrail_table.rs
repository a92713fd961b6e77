//! The table of what the guardrails allow and refuse, which `tests/template/test_iam_policies.py` puts to the roles of the templates, too.

use eks_break_glass::decide::guardrails;
use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::domain::region::Region;
use eks_break_glass::input::event::Request;
use serde_json::{Value, json};

use crate::settings::{function, settings};

#[test]
fn the_guard_says_what_the_table_says() {
    let table: Vec<Value> = serde_json::from_str(include_str!("../fixtures/guardrails.json")).unwrap();
    for row in &table {
        let setting = row["setting"].as_str().unwrap();
        let mut event =
            json!({"clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/new-cluster-admin"});
        for field in ["clusterName", "principalArn", "policyArn"] {
            if let Some(value) = row.get(field) {
                event[field] = value.clone();
            }
        }
        let request = Request::parse(&event.to_string(), &Region::parse("eu-west-1").unwrap()).unwrap();
        let judged = guardrails::request(
            &settings(&[(setting, row["value"].as_str().unwrap())]).unwrap(),
            Some(&function()),
            &request,
        );
        assert_eq!(judged.is_ok(), row["allowed"], "{row}");
        if let Err(failure) = judged {
            assert_eq!(failure.name, ErrorName::RequestDenied);
            assert!(failure.what.contains(setting), "{row}: {failure:?}");
        }
    }
}
