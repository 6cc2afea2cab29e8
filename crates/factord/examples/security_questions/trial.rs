//! The example's factor, enrolled and verified through a store in memory: what it gets for nothing, and what it lacks.

#![expect(clippy::print_stdout, reason = "it tells what it finds")]

use std::sync::Arc;

use anyhow::ensure;
use factord::clock::{Clock, ManualClock, Timestamp, system_rng};
use factord::crypto::keys::{Keys, MasterKey};
use factord::factor::catalogue::Catalogue;
use factord::mfa::Core;
use factord::mfa::code::Code;
use factord::mfa::completion::VerifyCode;
use factord::mfa::confirmation::ConfirmRegistration;
use factord::mfa::ids::{DeviceId, UserId};
use factord::mfa::profile::UpdateProfile;
use factord::mfa::redirect::RedirectPolicy;
use factord::mfa::refusal::Refusal;
use factord::mfa::registration::CreateRegistration;
use factord::mfa::verification::Options;
use factord::service::{Error, Service};
use factord::store::Store;
use factord::store::memory::MemoryStore;

use super::SecurityQuestion;

/// An id that no other factor has.
const ID: i64 = 58_999;

pub fn run() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .build()?
        .block_on(trial())
}

async fn trial() -> anyhow::Result<()> {
    let core = Arc::new(Core {
        catalogue: Catalogue::standard().with(ID, &SecurityQuestion),
        service_name: "Example".to_owned(),
        redirects: RedirectPolicy::Loopback,
        ..Core::new(
            Keys::derive(&MasterKey::generate(&mut system_rng())),
            url::Url::parse("http://localhost:8080")?,
        )
    });
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::clone(&core), clock));
    let service = Service::new(core, Arc::clone(&store));
    let profile = UpdateProfile {
        username: Some("ada".to_owned()),
        ..UpdateProfile::default()
    };
    let profile = profile.create(store.now());
    let profile = profile.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    let user = service.create_user(profile).await?.id;

    let asked = CreateRegistration {
        factor_id: ID,
        display_name: "In which year did you first see the sea?".to_owned(),
        expires_in: None,
        verified: false,
        redirect_to: None,
        custom_message: None,
    };
    let registration = service.decide(user, asked).await?.registration;
    let answer = ConfirmRegistration {
        id: registration.id,
        code: Some(Code::text("1987")),
        evidence: None,
    };
    service.decide(user, answer).await?;
    let device = DeviceId::Device(registration.device);

    ensure!(verify(&service, user, device, "1987").await.is_err());
    println!(
        "the answer that was accepted last is refused: the core takes no short digits twice in a row"
    );
    for year in 1950..1955 {
        ensure!(
            verify(&service, user, device, &year.to_string())
                .await
                .is_err()
        );
    }
    let delayed = verify(&service, user, device, "1987").await;
    ensure!(matches!(delayed, Err(Error::Refused(Refusal::Delayed(_)))));
    println!("after five wrong ones no answer is looked at: the core counts for every factor");
    Ok(())
}

async fn verify(
    service: &Service,
    user: UserId,
    device: DeviceId,
    year: &str,
) -> Result<(), Error> {
    let command = VerifyCode {
        device: Some(device),
        options: Options::default(),
        code: Code::text(year),
        evidence: None,
    };
    service.decide(user, command).await
}
