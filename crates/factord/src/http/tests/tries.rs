//! How often a user's codes may cause a slow computation.

use serde_json::json;

use super::{RECOVERY_CODES, Server, newest_event};

#[tokio::test]
async fn after_ten_tries_of_recovery_codes_in_a_minute_no_more_are_looked_at_and_the_trail_tells() {
    let server = Server::new();
    let admin = server.admin().await;
    let (person, other) = (admin.person().await, admin.person().await);
    let enrol = async |person: &super::Person<'_>| {
        let made = person.register(RECOVERY_CODES).await;
        let tail = format!("/registrations/{}", made.id());
        let done = person.put(&tail, json!({})).await;
        let codes = made.body["factor_data"]["recovery_codes"].clone();
        (done.body["device_id"].clone(), codes)
    };
    let (device, codes) = enrol(&person).await;
    let (others, others_codes) = enrol(&other).await;
    let right = codes[0].as_str().unwrap();
    let wrong = format!("{}{}", &codes[1].as_str().unwrap()[..1], &right[1..]);
    // Confirming a set is a computation too.
    for _ in 0..9 {
        let guess = json!({"device_id": device, "otp": wrong});
        person.post("/verifications", guess).await.wrong_code();
    }
    let refused = person
        .post("/verifications", json!({"device_id": device, "otp": right}))
        .await;
    assert_eq!(refused.status, 429);
    let seconds: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let event = newest_event(&admin, &person).await;
    assert_eq!(
        (&event["reason"], &event["device_id"]),
        (&json!("too_many_tries"), &device)
    );
    // Nobody else waits, and the code that was not looked at is not used.
    let of_other = json!({"device_id": others, "otp": others_codes[0]});
    other.post("/verifications", of_other).await.accepted();
    server.advance(60);
    person
        .post("/verifications", json!({"device_id": device, "otp": right}))
        .await
        .accepted();
}
