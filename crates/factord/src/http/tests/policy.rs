//! What a policy says, as a caller sees it.

use std::collections::BTreeSet;

use serde_json::json;

use super::{AUTHENTICATOR, EMAIL, SMS, Server};
use crate::mfa::policy::{Group, Policy};

/// A service where finance may enrol an authenticator only, and use no text message.
fn server() -> Server {
    Server::with_core(|core| {
        core.policies.attribute = Some("department".to_owned());
        core.policies.everybody.offered = Some(BTreeSet::from(["sms", "email"]));
        let finance = Group {
            name: "finance".to_owned(),
            policy: Policy {
                offered: Some(BTreeSet::from(["authenticator"])),
                disabled: BTreeSet::from(["sms"]),
                max_expires_in: 300,
                max_token_expires_in: 600,
                ..Policy::default()
            },
        };
        core.policies.add_group(finance).unwrap();
    })
}

#[tokio::test]
async fn a_group_sees_enrols_and_uses_only_what_its_policy_says() {
    let server = server();
    let admin = server.admin().await;
    let person = admin.person().await;
    let offered = async || {
        let body = person.get("/factors").await.body;
        let factors = body.as_array().unwrap().iter();
        factors
            .map(|it| it["factor_id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(offered().await, [SMS, EMAIL]);
    person.register(AUTHENTICATOR).await.invalid(&["factor_id"]);
    let phone = person.enrol(SMS).await;
    let (verification, code) = person.challenge(&phone).await;

    let finance = json!({"custom_attributes": {"department": "Finance"}});
    assert_eq!(person.update(finance).await.status, 200);
    assert_eq!(offered().await, [AUTHENTICATOR]);
    person.register(EMAIL).await.invalid(&["factor_id"]);
    assert_eq!(person.register(AUTHENTICATOR).await.status, 201);
    let disabled = "The factor is disabled for this user";
    let body = json!({"device_id": phone});
    person
        .post("/verifications", body)
        .await
        .forbidden(disabled);
    let body = json!({"device_id": phone, "otp": code});
    person
        .post("/verifications", body)
        .await
        .forbidden(disabled);
    person
        .put(&verification, json!({"otp": code}))
        .await
        .forbidden(disabled);
    let listed = person.get("/devices").await.body;
    assert_eq!(
        (&listed[0]["device_id"], &listed[0]["default"]),
        (&json!(phone), &json!(false))
    );

    let back = json!({"custom_attributes": {"department": null}});
    assert_eq!(person.update(back).await.status, 200);
    person
        .put(&verification, json!({"otp": code}))
        .await
        .accepted();
}

#[tokio::test]
async fn a_group_has_bounds_of_its_own() {
    let server = server();
    let admin = server.admin().await;
    let person = admin.person().await;
    let asked = json!({"factor_id": AUTHENTICATOR, "display_name": "x", "expires_in": 301});
    let finance = json!({"custom_attributes": {"department": "finance"}});
    assert_eq!(person.update(finance).await.status, 200);
    person
        .post("/registrations", asked)
        .await
        .invalid(&["expires_in"]);
    let token = json!({"expires_in": 601});
    person
        .post("/mfa_token", token)
        .await
        .invalid(&["expires_in"]);
    let issued = person.post("/mfa_token", json!({})).await;
    assert_eq!(
        issued.body["expires_at"], "2023-11-14T22:23:20Z",
        "{}",
        issued.text
    );
}
