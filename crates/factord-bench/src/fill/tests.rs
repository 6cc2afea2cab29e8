use std::sync::Arc;

use factord::clock::{Clock, ManualClock};
use factord::crypto::keys::MasterKey;
use factord::mfa::completion::VerifyCode;
use factord::mfa::cores::Cores;
use factord::mfa::ids::{DeviceId, DeviceNumber};
use factord::mfa::verification::Options;
use factord::node::DEV_KEY_FILE;
use factord::service::Service;
use factord::store::sqlite::SqliteStore;
use factord::store::{EventFilter, Store};

use super::*;
use crate::members::Member;

const NOW: i64 = 1_800_000_000;

fn opened(folder: &Path, keys: &MasterKey, clock: &Arc<ManualClock>) -> SqliteStore {
    let core = Core::new(Keys::derive(keys), "http://localhost".parse().unwrap());
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    SqliteStore::open(folder, Cores::from(core), clock).unwrap()
}

/// The service itself finds nothing odd about what was written: trails, codes, and a code's second use.
#[tokio::test]
async fn every_member_that_was_written_verifies_once_and_has_a_trail() {
    let folder = tempfile::tempdir().unwrap();
    let key = MasterKey::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    std::fs::write(folder.path().join(DEV_KEY_FILE), key.to_text().as_str()).unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)));
    drop(opened(folder.path(), &key, &clock));

    let count = 2 * CHUNK + 1;
    sqlite(folder.path(), count, NOW).unwrap();

    let store: Arc<dyn Store> = Arc::new(opened(folder.path(), &key, &clock));
    assert!(sqlite(folder.path(), 1, NOW).is_err(), "it is not empty");
    let core = Core::new(Keys::derive(&key), "http://localhost".parse().unwrap());
    let service = Service::new(core, Arc::clone(&store));
    for index in [0, 1, CHUNK - 1, CHUNK, count - 1] {
        let member = Member::drawn(index as u64 + 1);
        let user = user_id(index).unwrap();
        let filter = EventFilter {
            user: Some(user),
            limit: 9,
            ..EventFilter::default()
        };
        let trail = store.events(filter).await.unwrap();
        let actions: Vec<_> = trail.iter().map(|event| event.action.as_str()).collect();
        assert_eq!(
            actions,
            ["confirm_registration", "create_registration", "create_user"]
        );
        assert!(trail.iter().all(|event| event.user == Some(user)));

        let number = DeviceNumber::from_stored(u32::try_from(member.device).unwrap());
        let step = otp::time_step(Timestamp::from_seconds(NOW)).cast_signed();
        let verify = || VerifyCode {
            device: Some(DeviceId::Device(number)),
            options: Options::default(),
            code: Code::text(&member.code(step)),
            evidence: None,
        };
        assert!(service.decide(user, verify()).await.is_ok());
        assert!(service.decide(user, verify()).await.is_err());
    }
    let made = UpdateProfile::default().create(clock.now()).unwrap();
    let next = store.create_user(made).await.unwrap();
    assert_eq!(next.id, user_id(count).unwrap());
}
