//! Beyond the reference: a login's second step in one call, and waiting for the person.

use super::{Error, MultiFactorAuthenticationApi, Result, Wait};
use crate::models::{
    CreateDeviceVerificationRequest, Device, DeviceVerification, Otp, Registration, RegistrationId,
    UserId, Verification, VerificationId, VerifyUserVerificationRequest,
};

/// A device that is being challenged.
#[derive(Clone, Debug)]
pub struct Challenge {
    api: MultiFactorAuthenticationApi,
    user_id: UserId,
    device: Device,
    verification: DeviceVerification,
}

impl MultiFactorAuthenticationApi {
    /// Challenges the user's default device, or the first one where none is the default. Temporary tokens are passed over,
    /// since they have nothing to challenge: their codes are checked by [`verify_otp`](Self::verify_otp).
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`] if the user has none.
    pub async fn challenge(&self, user_id: impl Into<UserId>) -> Result<Challenge> {
        let user_id = user_id.into();
        let mut devices = self.get_authentication_devices(user_id).await?;
        devices.retain(|device| device.device_id.number().is_some());
        let chosen = devices
            .iter()
            .position(|device| device.default)
            .unwrap_or_default();
        if devices.is_empty() {
            return Err(Error::NoDevice);
        }
        self.challenge_device(user_id, devices.swap_remove(chosen))
            .await
    }

    /// Challenges a device of [`get_authentication_devices`](Self::get_authentication_devices).
    ///
    /// # Errors
    ///
    /// As [`create_device_verification`](Self::create_device_verification).
    pub async fn challenge_device(
        &self,
        user_id: impl Into<UserId>,
        device: Device,
    ) -> Result<Challenge> {
        let user_id = user_id.into();
        let request = CreateDeviceVerificationRequest::new(&device.device_id);
        let verification = self.create_device_verification(user_id, &request).await?;
        Ok(Challenge {
            api: self.clone(),
            user_id,
            device,
            verification,
        })
    }

    /// Whether a code completes a verification: [`verify_user_verification`](Self::verify_user_verification) with the
    /// refusal of the code as `false`.
    ///
    /// # Errors
    ///
    /// Everything but a wrong code: see [`Error::is_locked_out`].
    pub async fn verify_code(
        &self,
        user_id: impl Into<UserId>,
        verification_id: impl Into<VerificationId>,
        code: impl Into<Otp>,
    ) -> Result<bool> {
        let request = VerifyUserVerificationRequest::new(code);
        match self
            .verify_user_verification(user_id, verification_id, &request)
            .await
        {
            Ok(result) => Ok(result.is_accepted()),
            Err(error) if error.is_wrong_code() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Polls a verification until it is accepted or rejected. Dropping the future ends the polling and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Deadline`] if it is still pending when the time to wait is over.
    pub async fn wait_for_verification(
        &self,
        user_id: impl Into<UserId>,
        verification_id: impl Into<VerificationId>,
        wait: impl Into<Wait>,
    ) -> Result<Verification> {
        let (user_id, verification_id) = (user_id.into(), verification_id.into());
        let look = || self.get_user_verification(user_id, &verification_id);
        wait.into()
            .until_final(|verification: &Verification| &verification.status, look)
            .await
    }

    /// Polls a registration until it is accepted or rejected. Dropping the future ends the polling and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Deadline`] if it is still pending when the time to wait is over.
    pub async fn wait_for_registration(
        &self,
        user_id: impl Into<UserId>,
        registration_id: impl Into<RegistrationId>,
        wait: impl Into<Wait>,
    ) -> Result<Registration> {
        let (user_id, registration_id) = (user_id.into(), registration_id.into());
        let look = || self.get_user_registration(user_id, &registration_id);
        wait.into()
            .until_final(|registration: &Registration| &registration.status, look)
            .await
    }
}

impl Challenge {
    /// The device that is challenged.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The verification, with what there is to show in `factor_data`.
    pub fn verification(&self) -> &DeviceVerification {
        &self.verification
    }

    /// Whether this code is the right one. After a wrong one another may be tried.
    ///
    /// # Errors
    ///
    /// Everything but a wrong code: see [`Error::is_locked_out`].
    pub async fn verify_code(&self, code: impl Into<Otp>) -> Result<bool> {
        self.api
            .verify_code(self.user_id, &self.verification.id, code)
            .await
    }

    /// Waits until the user has decided elsewhere: on the phone, or by a link.
    ///
    /// # Errors
    ///
    /// [`Error::Deadline`] if the user has not when the time to wait is over.
    pub async fn wait(&self, wait: impl Into<Wait>) -> Result<Verification> {
        self.api
            .wait_for_verification(self.user_id, &self.verification.id, wait)
            .await
    }
}
