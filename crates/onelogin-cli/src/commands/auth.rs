//! `onelogin auth`: the API credential itself.

use onelogin::OAuth2Api;
use serde_json::json;

use super::Session;
use crate::{
    arguments::Auth,
    exit::{Exit, Outcome},
    output::or_empty,
};

pub(crate) async fn run(session: &Session, command: Auth) -> Outcome<Exit> {
    let api = OAuth2Api::new(&session.client);
    match command {
        Auth::Check => {
            // The token itself is not shown: whoever needs it can ask the service for one.
            let token = api.generate_token().await?;
            let shown = json!({"account_id": token.account_id, "created_at": token.created_at, "expires_in": token.expires_in});
            let fields = [
                ("credential", "works".to_owned()),
                ("account", or_empty(token.account_id)),
                (
                    "token lives",
                    or_empty(token.expires_in.map(|seconds| format!("{seconds} s"))),
                ),
            ];
            session.output.one(&shown, &fields)?;
        }
        Auth::RateLimit => {
            let limit = api.get_rate_limit().await?;
            let fields = [
                ("limit", limit.limit.to_string()),
                ("remaining", limit.remaining.to_string()),
                ("resets in", format!("{} s", limit.reset)),
            ];
            session.output.one(&limit, &fields)?;
        }
    }
    Ok(Exit::Done)
}
