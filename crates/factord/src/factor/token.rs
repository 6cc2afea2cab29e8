//! A hardware token whose codes are counted (HOTP, RFC 4226): the other kind of Authenticator. Its seed is imported by an
//! administrator, and its counter is kept with the hardware, so that it rises whoever has the token.

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Ceremony, Verdict};
use crate::audit::Reason;
use crate::crypto::otp::{Algorithm, OtpKey};
use crate::mfa::Core;
use crate::mfa::code::Code;
use crate::mfa::data::{Data, Fault};
use crate::mfa::hardware::{Hardware, Owner, place};

/// How far a token is.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    digits: usize,
    /// The next counter that is due: every accepted one is below it.
    next: u64,
    /// Counters that are due if the last wrong code came from a token that is far ahead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<u64>,
}

/// A token to be imported.
pub struct NewToken {
    /// What is printed on it.
    pub serial: String,
    /// The shared secret: RFC 4226 section 4, R6, wants 16 bytes or more.
    pub seed: Zeroizing<Vec<u8>>,
    /// The counter of the next code.
    pub counter: u64,
    /// Digits of a code, 6 or 8.
    pub digits: usize,
}

impl NewToken {
    /// The id that the token is kept by.
    pub fn id(&self) -> String {
        hardware_id(&self.serial)
    }

    /// The token as it is kept from now on. What was accepted of the same token before stays used, also under another
    /// owner; with another seed it is another token.
    ///
    /// # Errors
    /// [`Fault`] if what is known of it cannot be used.
    pub fn keep(
        &self,
        ceremony: &mut Ceremony<'_>,
        known: Option<&Hardware>,
    ) -> Result<Hardware, Fault> {
        let id = self.id();
        let mut next = self.counter;
        if let Some(known) = known
            && bool::from(seed(ceremony.core, &id, known)?.ct_eq(&self.seed))
        {
            let state: State = known.state.read()?;
            next = next.max(state.next);
        }
        let keys = &ceremony.core.keys;
        Ok(Hardware {
            serial: Some(self.serial.clone()),
            secret: Some(keys.seal(ceremony.rng, place(SEED, &id), &self.seed)),
            owner: Some(Owner {
                user: ceremony.user,
                device: ceremony.device,
            }),
            state: Data::of(&State {
                digits: self.digits,
                next,
                candidates: Vec::new(),
            }),
        })
    }
}

/// Whether `code` is the token's: one of the next that are due, or the second in a row of a token that is far ahead. What
/// the answer is, the token's state goes on from it.
pub(super) fn check(
    ceremony: &mut Ceremony<'_>,
    serial: &str,
    record: &Data,
    code: &Code,
) -> Result<Verdict, Fault> {
    let (core, id) = (ceremony.core, hardware_id(serial));
    let owner = Some(Owner {
        user: ceremony.user,
        device: ceremony.device,
    });
    let known = ceremony.hardware.get_mut(&id);
    let known = known
        .filter(|known| known.owner == owner)
        .ok_or(Fault::Record)?;
    let mut state: State = known.state.read()?;
    let seed = seed(core, &id, known)?;
    let reason = state.advance(&seed, code, core.rules.hotp_look_ahead);
    known.state = Data::of(&state);
    Ok(match reason {
        None => Verdict::Accepted(record.clone()),
        Some(reason) => Verdict::Wrong(reason),
    })
}

impl State {
    /// Goes on from a code; why it is refused, if it is.
    fn advance(&mut self, seed: &[u8], code: &Code, look_ahead: u64) -> Option<Reason> {
        let candidates = std::mem::take(&mut self.candidates);
        if !code.fits(self.digits) {
            return Some(Reason::Wrong);
        }
        let (digits, key) = (self.digits, OtpKey::new(Algorithm::Sha1, seed));
        let matches = |counter: &u64| {
            let value = key.hotp(*counter, digits);
            code.is(&Zeroizing::new(format!("{value:0digits$}")))
        };
        let window_end = self.next.saturating_add(look_ahead);
        let due = (self.next..window_end).chain(candidates).find(matches);
        if let Some(counter) = due {
            self.next = counter.saturating_add(1);
            return None;
        }
        let past = self.next.saturating_sub(DIAGNOSED)..self.next;
        if past.into_iter().any(|counter| matches(&counter)) {
            return Some(Reason::Used);
        }
        let far = window_end..self.next.saturating_add(RESYNCHRONISED);
        let ahead: Vec<u64> = far.filter(matches).collect();
        let nearest = ahead.first().map(|counter| counter - self.next);
        self.candidates = ahead.into_iter().map(|counter| counter + 1).collect();
        Some(nearest.map_or(Reason::Wrong, |steps| {
            Reason::OutsideWindow(i32::try_from(steps).unwrap_or(i32::MAX))
        }))
    }
}

fn seed(core: &Core, id: &str, known: &Hardware) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let sealed = known.secret.as_ref().ok_or(Fault::Record)?;
    Ok(core.keys.open(place(SEED, id), sealed)?)
}

/// The id by which the token with this serial number is kept.
pub fn hardware_id(serial: &str) -> String {
    format!("{HARDWARE}{serial}")
}

/// What the ids of hardware begin with that is a token.
pub const HARDWARE: &str = "hotp:";
const SEED: &str = "token seed";
/// How far back a code is looked for, to tell a used one from a wrong one.
const DIAGNOSED: u64 = 20;
/// How far ahead a token may be that two codes in a row find again. A guess meets one of so many counters once in a
/// thousand times, and the code after it is as hard to guess as any.
const RESYNCHRONISED: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::otp;

    const SEED: &[u8] = b"12345678901234567890";

    fn state(next: u64) -> State {
        State {
            digits: 6,
            next,
            candidates: Vec::new(),
        }
    }

    fn code(counter: u64) -> Code {
        let value = otp::hotp(Algorithm::Sha1, SEED, counter, 6);
        Code::text(&format!("{value:06}"))
    }

    /// A code that is none of the first 2,100.
    fn never() -> Code {
        let known: Vec<_> = (0..2_100)
            .map(|counter| otp::hotp(Algorithm::Sha1, SEED, counter, 6))
            .collect();
        let free = (0..1_000_000).find(|code| !known.contains(code)).unwrap();
        Code::text(&format!("{free:06}"))
    }

    #[test]
    fn the_codes_of_rfc_4226_appendix_d_are_accepted_once_each_in_their_order() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        let mut state = state(0);
        for text in codes {
            assert_eq!(state.advance(SEED, &Code::text(text), 10), None);
            assert_eq!(
                state.advance(SEED, &Code::text(text), 10),
                Some(Reason::Used)
            );
        }
        assert_eq!(state.next, 10);
    }

    #[test]
    fn the_tenth_code_from_the_next_is_accepted_and_what_was_skipped_never_is() {
        let mut token = state(5);
        assert_eq!(token.advance(SEED, &code(14), 10), None);
        for skipped in 5..=14 {
            assert_eq!(token.advance(SEED, &code(skipped), 10), Some(Reason::Used));
        }
        assert_eq!(token.next, 15);
        let mut token = state(5);
        let ahead = token.advance(SEED, &code(15), 10);
        assert_eq!((ahead, token.next), (Some(Reason::OutsideWindow(10)), 5));
    }

    #[test]
    fn two_codes_in_a_row_find_a_token_that_is_far_ahead() {
        let mut token = state(5);
        assert_eq!(
            token.advance(SEED, &code(900), 10),
            Some(Reason::OutsideWindow(895))
        );
        assert_eq!(token.advance(SEED, &code(901), 10), None);
        assert_eq!(token.next, 902);
        assert_eq!(token.advance(SEED, &code(901), 10), Some(Reason::Used));
    }

    #[test]
    fn nothing_but_the_very_next_code_finds_it() {
        for between in [never(), code(902), Code::text("1"), code(3)] {
            let mut token = state(5);
            token.advance(SEED, &code(900), 10).unwrap();
            token.advance(SEED, &between, 10).unwrap();
            assert!(token.advance(SEED, &code(901), 10).is_some());
            assert_eq!(token.next, 5);
        }
        let mut token = state(5);
        let beyond = [code(1_005), code(1_006)].map(|code| token.advance(SEED, &code, 10));
        assert_eq!(beyond, [Some(Reason::Wrong), Some(Reason::Wrong)]);
    }

    #[test]
    fn at_the_end_of_its_counter_a_token_is_refused_and_nothing_overflows() {
        let mut token = state(u64::MAX - 1);
        assert_eq!(token.advance(SEED, &code(u64::MAX - 1), 10), None);
        assert!(token.advance(SEED, &code(u64::MAX - 1), 10).is_some());
        assert!(token.advance(SEED, &never(), 10).is_some());
    }
}
