//! `onelogin token`: makes a temporary MFA token.

use onelogin::{models::GenerateOtpRequest, secrecy::ExposeSecret};

use super::Session;
use crate::{
    arguments::Token,
    exit::{Exit, Outcome},
    output::or_empty,
};

pub(crate) async fn run(session: &Session, arguments: Token) -> Outcome<Exit> {
    let user_id = session.user_id(&arguments.user).await?;
    let request = GenerateOtpRequest {
        expires_in: arguments.expires_in,
        reusable: arguments.reusable.then_some(true),
    };
    let token = session.mfa().generate_otp(user_id, &request).await?;
    let fields = [
        ("token", token.mfa_token.expose_secret().to_owned()),
        ("expires", or_empty(token.expires_at)),
        (
            "works",
            if token.reusable { "until then" } else { "once" }.to_owned(),
        ),
        ("device", or_empty(token.device_id.as_ref())),
    ];
    session.output.one(&token, &fields)?;
    Ok(Exit::Done)
}
