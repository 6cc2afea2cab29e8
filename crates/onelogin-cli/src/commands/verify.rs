//! `onelogin verify`: challenges a device and checks the code, or finishes what was begun before.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use std::{fs, io};

use onelogin::{
    Error,
    models::{
        CreateDeviceVerificationRequest, Device, DeviceId, DeviceVerification, FactorData,
        FactorKind, RegistrationId, RegistrationResult, Status, UserId, Verification,
        VerificationId, VerifyUserRegistrationRequest, VerifyUserVerificationRequest,
    },
    secrecy::{ExposeSecret, SecretString},
};
use serde_json::{Value, json};

use super::{Session, poll};
use crate::{
    arguments::Verify,
    exit::{Exit, Failure, Outcome},
    output::or_empty,
    terminal::{ask, is_interactive, spin, tell, typed},
};

pub(crate) async fn run(session: &Session, arguments: Verify) -> Outcome<Exit> {
    let user_id = session.user_id(&arguments.user).await?;
    if let Some(file) = &arguments.credential {
        return send(session, user_id, &arguments, read(file)?).await;
    }
    if let Some(id) = &arguments.registration {
        return confirm(session, user_id, &RegistrationId::new(id), arguments.code).await;
    }
    if let Some(id) = &arguments.verification {
        return complete(session, user_id, &VerificationId::new(id), arguments.code).await;
    }
    if let (Some(code), None) = (&arguments.code, &arguments.device) {
        return check(session, user_id, code).await;
    }
    begin(session, user_id, arguments).await
}

/// Challenges a device and goes on as its factor needs.
async fn begin(session: &Session, user_id: UserId, arguments: Verify) -> Outcome<Exit> {
    let mfa = session.mfa();
    let device = choose(
        mfa.get_authentication_devices(user_id).await?,
        arguments.device.clone().map(DeviceId::from),
    )?;
    let in_browser = device.kind() == FactorKind::WebAuthn && !arguments.start;
    if in_browser && arguments.redirect_to.is_none() {
        return Err(Failure::usage("a security key is asked in a browser")
            .advice("--redirect-to URL says where the browser then takes the code to; or use another --device"));
    }
    let mut request = CreateDeviceVerificationRequest::new(&device.device_id);
    request.expires_in = arguments.lifetime.expires_in;
    request.redirect_to.clone_from(&arguments.redirect_to);
    request.custom_message.clone_from(&arguments.message);
    request.number_matching = arguments.number_matching.then_some(true);
    let verification = mfa.create_device_verification(user_id, &request).await?;
    if arguments.start {
        show(session, &verification)?;
        return Ok(Exit::Done);
    }
    let data = verification.factor_data.as_ref();
    if let Some(number) = data.and_then(|data| data.number.as_ref()) {
        tell(&format!(
            "Choose this number in the app: {}",
            number.expose_secret()
        ));
    }
    if let Some(code) = data.and_then(|data| data.verification_token.as_ref()) {
        tell(&format!(
            "The phone rings. Type there: {}",
            code.expose_secret()
        ));
    }
    if in_browser {
        tell(&format!(
            "Open {}/verify/{} in a browser. It ends at a URL with the code.",
            session.host, verification.id
        ));
        return complete(session, user_id, &verification.id, arguments.code).await;
    }
    let asks = arguments.code.is_none() && !arguments.waiting.watch;
    if let Some(way) = way_over_a_page(session, &arguments, &device, &verification) {
        tell(&way);
        if asks {
            tell("If the address at which the browser ends has an otp, type it here.");
            let wait = Duration::from_secs(arguments.waiting.timeout);
            return wait_or_complete(session, user_id, &verification.id, wait).await;
        }
    }
    if arguments.code.is_some() || (device.kind().takes_code() && !arguments.waiting.watch) {
        if arguments.code.is_none() && is_interactive() {
            tell(&format!(
                "{} ({})",
                device.user_display_name, device.type_display_name
            ));
        }
        return complete(session, user_id, &verification.id, arguments.code).await;
    }
    let waiting = mfa.wait_for_verification(
        user_id,
        &verification.id,
        Duration::from_secs(arguments.waiting.timeout),
    );
    let message = format!("waiting for {}", device.user_display_name);
    poll::show_verification(session, &spin(&message, waiting).await?)
}

/// What the person does where a page may end the verification with a code of its own. Whether it does is the service's
/// policy, which the caller does not see.
fn way_over_a_page(
    session: &Session,
    arguments: &Verify,
    device: &Device,
    verification: &DeviceVerification,
) -> Option<String> {
    arguments.redirect_to.as_ref()?;
    let page = format!("{}/verify/{}", session.host, verification.id);
    let data = verification.factor_data.as_ref();
    let shows_number = data.is_some_and(|data| data.number.is_some());
    match device.kind() {
        FactorKind::MagicLink => Some("Press the button in the e-mail.".to_owned()),
        FactorKind::Protect if shows_number => None,
        FactorKind::Protect if arguments.number_matching => Some(format!(
            "Open {page} in a browser: it shows the number for the app."
        )),
        FactorKind::Protect => Some(format!(
            "Approve in the app. If it asks for a number, open {page} in a browser."
        )),
        _ => None,
    }
}

fn choose(devices: Vec<Device>, wanted: Option<DeviceId>) -> Outcome<Device> {
    if let Some(id) = wanted {
        return devices
            .into_iter()
            .find(|device| device.device_id == id)
            .ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("the user has no device {id}"))
                    .advice("`onelogin devices` lists them")
            });
    }
    let mut challengeable: Vec<_> = devices
        .into_iter()
        .filter(|device| device.device_id.number().is_some())
        .collect();
    if challengeable.is_empty() {
        return Err(Error::NoDevice.into());
    }
    let default = challengeable
        .iter()
        .position(|device| device.default)
        .unwrap_or_default();
    Ok(challengeable.swap_remove(default))
}

/// Completes a verification with a code: the given one, or the one that the user types, twice more if it is wrong.
async fn complete(
    session: &Session,
    user_id: UserId,
    id: &VerificationId,
    code: Option<String>,
) -> Outcome<Exit> {
    let mut tries = tries(code.as_ref());
    loop {
        tries -= 1;
        let code = code.clone().map_or_else(|| ask("Code"), Ok)?;
        let accepted = session.mfa().verify_code(user_id, id, code).await?;
        if accepted {
            return completed(session, id);
        }
        tell("That is not the code.");
        if tries == 0 {
            return not_completed(session, user_id, id).await;
        }
    }
}

/// Waits for the decision, and completes the verification if the person types a code before.
async fn wait_or_complete(
    session: &Session,
    user_id: UserId,
    id: &VerificationId,
    wait: Duration,
) -> Outcome<Exit> {
    let mfa = session.mfa();
    let mut decision = pin!(mfa.wait_for_verification(user_id, id, wait));
    let (mut typed, mut tries) = (typed("Code"), tries(None));
    loop {
        // Once there is no more to read, the decision alone is left.
        let code = tokio::select! {
            decided = &mut decision => return poll::show_verification(session, &decided?),
            Some(code) = typed.recv() => code,
        };
        if mfa.verify_code(user_id, id, code).await? {
            return completed(session, id);
        }
        tries -= 1;
        tell("That is not the code.");
        if tries == 0 {
            return not_completed(session, user_id, id).await;
        }
    }
}

/// Shows how a verification stands after the last wrong code: too many may have ended it.
async fn not_completed(session: &Session, user_id: UserId, id: &VerificationId) -> Outcome<Exit> {
    let verification = session.mfa().get_user_verification(user_id, id).await?;
    poll::show_verification(session, &verification)?;
    Ok(Exit::Rejected)
}

/// Confirms a registration with a code: the given one, or the one that the user types, twice more if it is wrong.
pub(crate) async fn confirm(
    session: &Session,
    user_id: UserId,
    id: &RegistrationId,
    code: Option<String>,
) -> Outcome<Exit> {
    let mut tries = tries(code.as_ref());
    loop {
        tries -= 1;
        let request =
            VerifyUserRegistrationRequest::new(code.clone().map_or_else(|| ask("Code"), Ok)?);
        match session
            .mfa()
            .verify_user_registration(user_id, id, &request)
            .await
        {
            Ok(result) => return confirmed(session, &result),
            Err(error) if error.is_wrong_code() && tries > 0 => tell("That is not the code."),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends what a security key has answered to what is pending.
async fn send(
    session: &Session,
    user_id: UserId,
    arguments: &Verify,
    credential: Value,
) -> Outcome<Exit> {
    let mfa = session.mfa();
    if let Some(id) = &arguments.registration {
        let request = VerifyUserRegistrationRequest::with_credential(credential);
        let confirming = mfa.verify_user_registration(user_id, id.as_str(), &request);
        return confirmed(session, &confirming.await?);
    }
    let id = VerificationId::new(arguments.verification.as_deref().unwrap_or_default());
    let request = VerifyUserVerificationRequest::with_credential(credential);
    mfa.verify_user_verification(user_id, &id, &request).await?;
    completed(session, &id)
}

fn read(file: &Path) -> Outcome<Value> {
    let read = if file.as_os_str() == "-" {
        io::read_to_string(io::stdin())
    } else {
        fs::read_to_string(file)
    };
    let shown = file.display();
    let text = read.map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{shown} is not JSON: {error}")))
}

fn completed(session: &Session, id: &VerificationId) -> Outcome<Exit> {
    let verification = Verification {
        id: id.clone(),
        status: Status::Accepted,
        device_id: None,
        reason: None,
    };
    poll::show_verification(session, &verification)
}

fn confirmed(session: &Session, result: &RegistrationResult) -> Outcome<Exit> {
    let fields = [
        ("registration", result.id.to_string()),
        ("status", result.status.to_string()),
        ("device", or_empty(result.device_id.as_ref())),
    ];
    session.output.one(result, &fields)?;
    Ok(poll::exit(&result.status))
}

/// Checks a code that belongs to no verification in particular.
async fn check(session: &Session, user_id: UserId, code: &str) -> Outcome<Exit> {
    let accepted = match session
        .mfa()
        .verify_otp(user_id, &CreateDeviceVerificationRequest::with_otp(code))
        .await
    {
        Ok(result) => result.is_accepted(),
        Err(error) if error.is_wrong_code() => false,
        Err(error) => return Err(error.into()),
    };
    let status = if accepted { "accepted" } else { "wrong code" };
    session.output.one(
        &json!({ "status": status }),
        &[("status", status.to_owned())],
    )?;
    Ok(if accepted { Exit::Done } else { Exit::Rejected })
}

/// A person may mistype; a program has one code.
fn tries(code: Option<&String>) -> u32 {
    if code.is_none() && is_interactive() {
        3
    } else {
        1
    }
}

fn show(session: &Session, verification: &DeviceVerification) -> Outcome<()> {
    let secret = |pick: fn(&FactorData) -> Option<&SecretString>| {
        verification
            .factor_data
            .as_ref()
            .and_then(pick)
            .map(|secret| secret.expose_secret().to_owned())
            .unwrap_or_default()
    };
    let fields = [
        ("verification", verification.id.to_string()),
        ("status", verification.status.to_string()),
        ("factor", verification.type_display_name.clone()),
        ("name", verification.user_display_name.clone()),
        ("device", or_empty(verification.device_id.as_ref())),
        ("expires", or_empty(verification.expires_at)),
        ("number", secret(|data| data.number.as_ref())),
        ("code", secret(|data| data.verification_token.as_ref())),
    ];
    session.output.one(verification, &fields)
}
