//! The wire types of the API: what goes into a request and what comes out of a response.
//!
//! A server that speaks the same API serialises and reads the very same types, so client and server cannot drift
//! apart. Reading is liberal (a number may come as a decimal string, an explicit `null` is an absent field, unknown
//! fields are passed over); writing is strict. What is secret is wrapped, and `Debug` never shows it.

mod device;
mod error;
mod id;
pub(crate) mod lenient;
mod oauth;
mod otp;
mod registration;
#[cfg(feature = "openapi")]
mod schema;
mod secret;
mod status;
mod time;
mod token;
mod user;
mod verification;

pub use device::{AuthFactor, Device, FactorKind};
pub use error::ErrorBody;
pub use id::{DeviceId, FactorId, RegistrationId, UserId, VerificationId};
pub use oauth::{AccessToken, RateLimit, RateLimitResponse, RevokeRequest, TokenRequest};
pub use otp::Otp;
pub use registration::{
    CreateFactorRegistrationRequest, FactorData, Registration, RegistrationResult,
    VerifyUserRegistrationRequest,
};
pub use status::{Status, StatusBody};
pub use time::Time;
pub use token::{GenerateOtpRequest, MfaToken};
pub use user::{User, UserRequest, UserState, UserStatus};
pub use verification::{
    CreateDeviceVerificationRequest, DeviceVerification, Verification, VerificationResult,
    VerifyUserVerificationRequest,
};

#[cfg(test)]
mod tests;
