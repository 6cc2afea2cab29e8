//! The ten operations of the multi-factor authentication API, by the names of the reference document.

use reqwest::Method;

use super::{
    ApiClient, Error, Result,
    answer::Answer,
    connection::{Call, json},
    retry::Repeat,
};
use crate::models::{
    AuthFactor, CreateDeviceVerificationRequest, CreateFactorRegistrationRequest, Device, DeviceId,
    DeviceVerification, GenerateOtpRequest, MfaToken, Registration, RegistrationId,
    RegistrationResult, Status, UserId, Verification, VerificationId, VerificationResult,
    VerifyUserRegistrationRequest, VerifyUserVerificationRequest,
};

/// Enrols factors, challenges devices and checks codes, for the users of one service.
///
/// Every operation may fail as [`Error`] says; what is common to all of them is not repeated: a user that does not exist is
/// [`Error::is_not_found`], and a wrong bearer token [`Error::is_unauthenticated`].
#[derive(Clone, Debug)]
pub struct MultiFactorAuthenticationApi {
    client: ApiClient,
}

impl MultiFactorAuthenticationApi {
    /// The API over a client.
    pub fn new(client: &ApiClient) -> Self {
        Self {
            client: client.clone(),
        }
    }

    /// The factors that the user may still enrol: `GET …/factors`.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_auth_factors(&self, user_id: impl Into<UserId>) -> Result<Vec<AuthFactor>> {
        self.read("get_auth_factors", user_id.into(), &["factors"])
            .await?
            .list()
    }

    /// Begins to enrol a factor: `POST …/registrations`. Where the factor sends a message, this sends it, so it is never
    /// repeated by itself once it may have arrived.
    ///
    /// # Errors
    ///
    /// A factor that is unknown or enrolled already, and a user without the phone number or e-mail address that it needs, are
    /// refused with 422; [`Error::parameters`] names what is missing.
    pub async fn create_factor_registration(
        &self,
        user_id: impl Into<UserId>,
        request: &CreateFactorRegistrationRequest,
    ) -> Result<Registration> {
        let body = json(request)?;
        self.write(
            "create_factor_registration",
            Method::POST,
            user_id.into(),
            &["registrations"],
            body,
        )
        .await?
        .object()
    }

    /// How a registration stands, and what there is to show: `GET …/registrations/{registration_id}`.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_user_registration(
        &self,
        user_id: impl Into<UserId>,
        registration_id: impl Into<RegistrationId>,
    ) -> Result<Registration> {
        let registration_id = registration_id.into();
        self.read(
            "get_user_registration",
            user_id.into(),
            &["registrations", registration_id.as_str()],
        )
        .await?
        .object()
    }

    /// Confirms a registration with a code or a credential: `PUT …/registrations/{registration_id}`.
    ///
    /// An answer that is lost on the way is settled by reading the registration, never by sending the code again.
    ///
    /// # Errors
    ///
    /// [`Error::is_wrong_code`] if the code was refused.
    pub async fn verify_user_registration(
        &self,
        user_id: impl Into<UserId>,
        registration_id: impl Into<RegistrationId>,
        request: &VerifyUserRegistrationRequest,
    ) -> Result<RegistrationResult> {
        let (user_id, registration_id) = (user_id.into(), registration_id.into());
        let path = ["registrations", registration_id.as_str()];
        let outcome = self
            .write(
                "verify_user_registration",
                Method::PUT,
                user_id,
                &path,
                json(request)?,
            )
            .await;
        match outcome.and_then(|answer| answer.object()) {
            Err(lost) if lost.is_lost() => {
                match self.get_user_registration(user_id, registration_id).await {
                    Ok(Registration {
                        id,
                        status: status @ Status::Accepted,
                        device_id,
                        ..
                    }) => Ok(RegistrationResult {
                        id,
                        status,
                        device_id,
                    }),
                    _ => Err(lost),
                }
            }
            outcome => outcome,
        }
    }

    /// The devices that are enrolled, and the temporary tokens that are alive: `GET …/devices`.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_authentication_devices(
        &self,
        user_id: impl Into<UserId>,
    ) -> Result<Vec<Device>> {
        self.read("get_authentication_devices", user_id.into(), &["devices"])
            .await?
            .list()
    }

    /// Removes a device: `DELETE …/devices/{device_id}`. Its open verifications end as rejected.
    ///
    /// An answer that is lost on the way is settled by listing the devices.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if the user has no such device.
    pub async fn delete_enrolled_factor(
        &self,
        user_id: impl Into<UserId>,
        device_id: impl Into<DeviceId>,
    ) -> Result<()> {
        let (user_id, device_id) = (user_id.into(), device_id.into());
        let path = ["devices", device_id.as_str()];
        match self
            .write(
                "delete_enrolled_factor",
                Method::DELETE,
                user_id,
                &path,
                None,
            )
            .await
        {
            Ok(_) => Ok(()),
            Err(lost) if lost.is_lost() => match self.get_authentication_devices(user_id).await {
                Ok(devices) if devices.iter().all(|device| device.device_id != device_id) => Ok(()),
                _ => Err(lost),
            },
            Err(error) => Err(error),
        }
    }

    /// Challenges a device: `POST …/verifications`. Where the factor sends a message or a push, this sends it, so it is never
    /// repeated by itself once it may have arrived.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] if the request holds an `otp`: that is [`verify_otp`](Self::verify_otp). [`Error::is_locked_out`]
    /// while the device may not be challenged.
    pub async fn create_device_verification(
        &self,
        user_id: impl Into<UserId>,
        request: &CreateDeviceVerificationRequest,
    ) -> Result<DeviceVerification> {
        if request.otp.is_some() {
            return Err(Error::Request("a code is checked by verify_otp".to_owned()));
        }
        let body = json(request)?;
        self.write(
            "create_device_verification",
            Method::POST,
            user_id.into(),
            &["verifications"],
            body,
        )
        .await?
        .object()
    }

    /// Checks a code that the user has already, without an id: `POST …/verifications` with `otp`.
    ///
    /// Without a device the user's open verifications and temporary tokens are tried.
    ///
    /// # Errors
    ///
    /// [`Error::is_wrong_code`] if the code was refused. An answer that is lost on the way cannot be settled, since there is
    /// no id to ask for: the code may have been used up.
    pub async fn verify_otp(
        &self,
        user_id: impl Into<UserId>,
        request: &CreateDeviceVerificationRequest,
    ) -> Result<VerificationResult> {
        if request.otp.is_none() {
            return Err(Error::Request("there is no code to check".to_owned()));
        }
        let body = json(request)?;
        self.write(
            "verify_otp",
            Method::POST,
            user_id.into(),
            &["verifications"],
            body,
        )
        .await?
        .object()
    }

    /// How a verification stands: `GET …/verifications/{verification_id}`. One that has expired reads as rejected.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_user_verification(
        &self,
        user_id: impl Into<UserId>,
        verification_id: impl Into<VerificationId>,
    ) -> Result<Verification> {
        let verification_id = verification_id.into();
        self.read(
            "get_user_verification",
            user_id.into(),
            &["verifications", verification_id.as_str()],
        )
        .await?
        .object()
    }

    /// Completes a verification with a code or a credential: `PUT …/verifications/{verification_id}`.
    ///
    /// An answer that is lost on the way is settled by reading the verification, never by sending the code again.
    ///
    /// # Errors
    ///
    /// [`Error::is_wrong_code`] if the code was refused, [`Error::is_locked_out`] after too many wrong ones.
    pub async fn verify_user_verification(
        &self,
        user_id: impl Into<UserId>,
        verification_id: impl Into<VerificationId>,
        request: &VerifyUserVerificationRequest,
    ) -> Result<VerificationResult> {
        let (user_id, verification_id) = (user_id.into(), verification_id.into());
        let path = ["verifications", verification_id.as_str()];
        let outcome = self
            .write(
                "verify_user_verification",
                Method::PUT,
                user_id,
                &path,
                json(request)?,
            )
            .await;
        match outcome.and_then(|answer| answer.object()) {
            Err(lost) if lost.is_lost() => {
                match self.get_user_verification(user_id, verification_id).await {
                    Ok(Verification {
                        status: Status::Accepted,
                        ..
                    }) => Ok(VerificationResult::success()),
                    _ => Err(lost),
                }
            }
            outcome => outcome,
        }
    }

    /// Makes a temporary MFA token, which stands in for the user's devices for a while: `POST …/mfa_token`.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn generate_otp(
        &self,
        user_id: impl Into<UserId>,
        request: &GenerateOtpRequest,
    ) -> Result<MfaToken> {
        let body = json(request)?;
        self.write(
            "generate_otp",
            Method::POST,
            user_id.into(),
            &["mfa_token"],
            body,
        )
        .await?
        .object()
    }

    async fn read(
        &self,
        operation: &'static str,
        user_id: UserId,
        path: &[&str],
    ) -> Result<Answer> {
        self.call(
            operation,
            Method::GET,
            user_id,
            path,
            None,
            Repeat::Harmless,
        )
        .await
    }

    async fn write(
        &self,
        operation: &'static str,
        method: Method,
        user_id: UserId,
        path: &[&str],
        body: Option<Vec<u8>>,
    ) -> Result<Answer> {
        self.call(operation, method, user_id, path, body, Repeat::Harmful)
            .await
    }

    async fn call(
        &self,
        operation: &'static str,
        method: Method,
        user_id: UserId,
        path: &[&str],
        body: Option<Vec<u8>>,
        repeat: Repeat,
    ) -> Result<Answer> {
        let user_id = user_id.to_string();
        let path: Vec<&str> = ["api", "2", "mfa", "users", &user_id]
            .into_iter()
            .chain(path.iter().copied())
            .collect();
        self.client
            .send(Call {
                operation,
                method,
                path: &path,
                query: &[],
                body,
                repeat,
            })
            .await
    }
}
