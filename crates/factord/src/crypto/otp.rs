//! One-time codes: HOTP (RFC 4226) and TOTP (RFC 6238). Pure arithmetic; what was used already is the caller's to know.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::clock::Timestamp;

/// The hash under the HMAC (RFC 6238 section 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-1, what every authenticator app speaks.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

/// Seconds in one TOTP time step (RFC 6238 section 4.1: the recommended X; the most that OWASP ASVS 6.5.5 allows).
pub const STEP_SECONDS: i64 = 30;

/// Digits in a code (RFC 4226 section 5.3: at least 6).
pub const DIGITS: usize = 6;

/// The time step that `now` lies in (RFC 6238 section 4.2, with T0 = 0); moments before the epoch are in step 0.
pub fn time_step(now: Timestamp) -> u64 {
    u64::try_from(now.seconds().div_euclid(STEP_SECONDS)).unwrap_or(0)
}

/// A shared secret that codes are computed with: what an HMAC makes of its key is made once.
pub struct OtpKey(Keyed);

enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl OtpKey {
    /// Takes a secret of any length.
    pub fn new(algorithm: Algorithm, secret: &[u8]) -> Self {
        Self(match algorithm {
            Algorithm::Sha1 => Keyed::Sha1(keyed(secret)),
            Algorithm::Sha256 => Keyed::Sha256(keyed(secret)),
            Algorithm::Sha512 => Keyed::Sha512(keyed(secret)),
        })
    }

    /// The HOTP value of `counter`, reduced to `digits` decimal digits, 1 to 9 (RFC 4226 section 5.3). TOTP is the same
    /// with a time step as the counter.
    pub fn hotp(&self, counter: u64, digits: usize) -> u32 {
        let binary = match &self.0 {
            Keyed::Sha1(key) => truncate(&mac(key, counter)),
            Keyed::Sha256(key) => truncate(&mac(key, counter)),
            Keyed::Sha512(key) => truncate(&mac(key, counter)),
        };
        binary % POWERS_OF_TEN[digits.clamp(1, 9)]
    }
}

/// The HOTP value of one `counter` under `secret`, as [`OtpKey::hotp`] gives it.
pub fn hotp(algorithm: Algorithm, secret: &[u8], counter: u64, digits: usize) -> u32 {
    OtpKey::new(algorithm, secret).hotp(counter, digits)
}

#[expect(clippy::expect_used, reason = "an HMAC takes a key of any length")]
fn keyed<M: KeyInit>(secret: &[u8]) -> M {
    M::new_from_slice(secret).expect("an HMAC takes a key of any length")
}

fn mac<M: Mac + Clone>(key: &M, counter: u64) -> impl AsRef<[u8]> {
    let mut mac = key.clone();
    mac.update(&counter.to_be_bytes());
    mac.finalize().into_bytes()
}

/// Dynamic truncation: 31 bits at the offset that the last nibble names (RFC 4226 section 5.3).
fn truncate(digest: &impl AsRef<[u8]>) -> u32 {
    let digest = digest.as_ref();
    let offset = usize::from(digest[digest.len() - 1] & 0x0f);
    let bytes = [
        digest[offset],
        digest[offset + 1],
        digest[offset + 2],
        digest[offset + 3],
    ];
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

const POWERS_OF_TEN: [u32; 10] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4226_appendix_d() {
        let expected = [
            755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871,
            520_489,
        ];
        for (counter, code) in (0..).zip(expected) {
            assert_eq!(
                hotp(Algorithm::Sha1, b"12345678901234567890", counter, 6),
                code
            );
        }
    }

    #[test]
    fn rfc_6238_appendix_b_for_all_three_hashes() {
        let times = [
            59,
            1_111_111_109,
            1_111_111_111,
            1_234_567_890,
            2_000_000_000,
            20_000_000_000,
        ];
        let vectors: [(Algorithm, &[u8], [u32; 6]); 3] = [
            (
                Algorithm::Sha1,
                b"12345678901234567890",
                [
                    94_287_082, 7_081_804, 14_050_471, 89_005_924, 69_279_037, 65_353_130,
                ],
            ),
            (
                Algorithm::Sha256,
                b"12345678901234567890123456789012",
                [
                    46_119_246, 68_084_774, 67_062_674, 91_819_424, 90_698_825, 77_737_706,
                ],
            ),
            (
                Algorithm::Sha512,
                b"1234567890123456789012345678901234567890123456789012345678901234",
                [
                    90_693_936, 25_091_201, 99_943_326, 93_441_116, 38_618_901, 47_863_826,
                ],
            ),
        ];
        for (algorithm, secret, codes) in vectors {
            for (seconds, code) in times.into_iter().zip(codes) {
                let step = time_step(Timestamp::from_seconds(seconds));
                assert_eq!(
                    hotp(algorithm, secret, step, 8),
                    code,
                    "{algorithm:?} at {seconds}"
                );
            }
        }
    }

    #[test]
    fn a_time_step_is_thirty_seconds_long_and_starts_at_the_epoch() {
        let step = |seconds| time_step(Timestamp::from_seconds(seconds));
        assert_eq!(
            [step(0), step(29), step(30), step(59), step(60)],
            [0, 0, 1, 1, 2]
        );
        assert_eq!(step(-1), 0);
    }
}
