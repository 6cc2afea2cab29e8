//! The same client for code without an async runtime: every operation waits for its answer.
//!
//! Each client brings a small runtime of its own. Calling it from async code panics, as blocking there would stop others.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mock.rs"));
//! # fn main() -> onelogin::Result<()> {
//! # let server = mock::Server::script(vec![mock::Reply::json(200, serde_json::json!([
//! #     {"factor_id": 58959, "name": "OneLogin SMS", "auth_factor_name": "SMS"}
//! # ]))]);
//! # let host = server.url();
//! use onelogin::{Configuration, blocking};
//!
//! let client = blocking::ApiClient::new(Configuration::new(host).access_token("…"))?;
//! let api = blocking::MultiFactorAuthenticationApi::new(&client);
//! for factor in api.get_auth_factors(56)? {
//!     println!("{} {}", factor.factor_id, factor.name);
//! }
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use secrecy::SecretString;
use tokio::runtime::{Builder, Runtime};

use crate::{
    Configuration, Error, Page, Result, UserQuery, Wait,
    models::{
        AccessToken, AuthFactor, CreateDeviceVerificationRequest, CreateFactorRegistrationRequest,
        Device, DeviceId, DeviceVerification, GenerateOtpRequest, MfaToken, Otp, RateLimit,
        Registration, RegistrationId, RegistrationResult, User, UserId, UserRequest, Verification,
        VerificationId, VerificationResult, VerifyUserRegistrationRequest,
        VerifyUserVerificationRequest,
    },
};

/// A connection to one service: cheap to clone, and all clones share the connections and the bearer token.
#[derive(Clone, Debug)]
pub struct ApiClient {
    client: crate::ApiClient,
    runtime: Arc<Runtime>,
}

impl ApiClient {
    /// Opens nothing yet: connections and the bearer token come with the first request.
    ///
    /// # Errors
    ///
    /// As [`crate::ApiClient::new`]; also if the system gives no resources for the runtime.
    pub fn new(configuration: Configuration) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Configuration(format!("runtime: {error}")))?;
        Ok(Self {
            client: crate::ApiClient::new(configuration)?,
            runtime: Arc::new(runtime),
        })
    }
}

/// Declares a blocking twin of an API: the same operations under the same names.
macro_rules! twin {
    (
        $name:ident:
        $($operation:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*
    ) => {
        #[doc = concat!("The blocking twin of [`crate::", stringify!($name), "`].")]
        #[derive(Clone, Debug)]
        pub struct $name {
            api: crate::$name,
            runtime: Arc<Runtime>,
        }

        impl $name {
            /// The API over a client.
            pub fn new(client: &ApiClient) -> Self {
                Self { api: crate::$name::new(&client.client), runtime: Arc::clone(&client.runtime) }
            }

            $(
                #[doc = concat!("Waits for [`crate::", stringify!($name), "::", stringify!($operation), "`].")]
                ///
                /// # Errors
                ///
                /// The same.
                pub fn $operation(&self, $($argument: $type),*) -> Result<$answer> {
                    self.runtime.block_on(self.api.$operation($($argument),*))
                }
            )*
        }
    };
}

twin! {
    MultiFactorAuthenticationApi:
    get_auth_factors(user_id: impl Into<UserId>) -> Vec<AuthFactor>;
    create_factor_registration(user_id: impl Into<UserId>, request: &CreateFactorRegistrationRequest) -> Registration;
    get_user_registration(user_id: impl Into<UserId>, registration_id: impl Into<RegistrationId>) -> Registration;
    verify_user_registration(
        user_id: impl Into<UserId>, registration_id: impl Into<RegistrationId>, request: &VerifyUserRegistrationRequest
    ) -> RegistrationResult;
    get_authentication_devices(user_id: impl Into<UserId>) -> Vec<Device>;
    delete_enrolled_factor(user_id: impl Into<UserId>, device_id: impl Into<DeviceId>) -> ();
    create_device_verification(user_id: impl Into<UserId>, request: &CreateDeviceVerificationRequest) -> DeviceVerification;
    verify_otp(user_id: impl Into<UserId>, request: &CreateDeviceVerificationRequest) -> VerificationResult;
    get_user_verification(user_id: impl Into<UserId>, verification_id: impl Into<VerificationId>) -> Verification;
    verify_user_verification(
        user_id: impl Into<UserId>, verification_id: impl Into<VerificationId>, request: &VerifyUserVerificationRequest
    ) -> VerificationResult;
    generate_otp(user_id: impl Into<UserId>, request: &GenerateOtpRequest) -> MfaToken;
    verify_code(user_id: impl Into<UserId>, verification_id: impl Into<VerificationId>, code: impl Into<Otp>) -> bool;
    wait_for_verification(
        user_id: impl Into<UserId>, verification_id: impl Into<VerificationId>, wait: impl Into<Wait>
    ) -> Verification;
    wait_for_registration(
        user_id: impl Into<UserId>, registration_id: impl Into<RegistrationId>, wait: impl Into<Wait>
    ) -> Registration;
}

impl MultiFactorAuthenticationApi {
    /// Waits for [`crate::MultiFactorAuthenticationApi::challenge`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn challenge(&self, user_id: impl Into<UserId>) -> Result<Challenge> {
        let challenge = self.runtime.block_on(self.api.challenge(user_id))?;
        Ok(Challenge {
            challenge,
            runtime: Arc::clone(&self.runtime),
        })
    }
}

/// The blocking twin of [`crate::Challenge`].
#[derive(Clone, Debug)]
pub struct Challenge {
    challenge: crate::Challenge,
    runtime: Arc<Runtime>,
}

impl Challenge {
    /// The device that is challenged.
    pub fn device(&self) -> &Device {
        self.challenge.device()
    }

    /// The verification, with what there is to show in `factor_data`.
    pub fn verification(&self) -> &DeviceVerification {
        self.challenge.verification()
    }

    /// Waits for [`crate::Challenge::verify_code`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn verify_code(&self, code: impl Into<Otp>) -> Result<bool> {
        self.runtime.block_on(self.challenge.verify_code(code))
    }

    /// Waits for [`crate::Challenge::wait`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn wait(&self, wait: impl Into<Wait>) -> Result<Verification> {
        self.runtime.block_on(self.challenge.wait(wait))
    }
}

twin! {
    OAuth2Api:
    generate_token() -> AccessToken;
    refresh_token(access_token: SecretString, refresh_token: SecretString) -> AccessToken;
    revoke_tokens(access_token: SecretString) -> ();
    get_rate_limit() -> RateLimit;
}

twin! {
    UsersApi:
    list_users(query: &UserQuery) -> Page<User>;
    find_by_username(username: &str) -> Option<User>;
    create_user(request: &UserRequest) -> User;
    get_user(user_id: impl Into<UserId>) -> User;
    update_user(user_id: impl Into<UserId>, request: &UserRequest) -> User;
    delete_user(user_id: impl Into<UserId>) -> ();
}

impl UsersApi {
    /// All users that a query finds. Pages are fetched as they are needed, and the iterator ends after an error.
    pub fn users(&self, query: UserQuery) -> impl Iterator<Item = Result<User>> {
        let (runtime, mut users, mut failed) =
            (Arc::clone(&self.runtime), self.api.users(query), false);
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let user = runtime.block_on(users.next())?;
            failed = user.is_err();
            Some(user)
        })
    }
}
