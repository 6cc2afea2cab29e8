//! Users: where a user id comes from.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Time, UserId, lenient, secret, time};

/// Whether a user has been approved: the values of `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    /// 0: waiting.
    Unapproved,
    /// 1: may log in.
    Approved,
    /// 2: refused.
    Rejected,
    /// 3: has no licence.
    Unlicensed,
    /// A number that this version does not know.
    Other(i64),
}

/// What a user may do: the values of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// 0: not activated yet.
    Unactivated,
    /// 1: may log in.
    Active,
    /// 2: may not, by an administrator's decision.
    Suspended,
    /// 3: may not for a while, after failed attempts.
    Locked,
    /// 4: the password is too old.
    PasswordExpired,
    /// 5: must set a password.
    AwaitingPasswordReset,
    /// 7: has no password yet.
    PasswordPending,
    /// 8: must answer security questions.
    SecurityQuestionsRequired,
    /// A number that this version does not know.
    Other(i64),
}

impl From<i64> for UserState {
    fn from(number: i64) -> Self {
        match number {
            0 => Self::Unapproved,
            1 => Self::Approved,
            2 => Self::Rejected,
            3 => Self::Unlicensed,
            other => Self::Other(other),
        }
    }
}

impl From<i64> for UserStatus {
    fn from(number: i64) -> Self {
        match number {
            0 => Self::Unactivated,
            1 => Self::Active,
            2 => Self::Suspended,
            3 => Self::Locked,
            4 => Self::PasswordExpired,
            5 => Self::AwaitingPasswordReset,
            7 => Self::PasswordPending,
            8 => Self::SecurityQuestionsRequired,
            other => Self::Other(other),
        }
    }
}

macro_rules! user_models {
    ($($(#[doc = $doc:literal])* $field:ident: $type:ty, $read:literal, $read_request:literal, $schema:ty $(, $example:literal)?;)*) => {
        /// A user, as the service shows one.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct User {
            /// The id that all operations take.
            pub id: UserId,
            $(
                $(#[doc = $doc])*
                #[serde(default, deserialize_with = $read, skip_serializing_if = "Option::is_none")]
                $(#[cfg_attr(feature = "openapi", schema(examples($example)))])?
                pub $field: Option<$type>,
            )*
            /// When the user was created.
            #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
            pub created_at: Option<Time>,
            /// When the user was last changed.
            #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
            pub updated_at: Option<Time>,
            /// When the user was activated.
            #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
            pub activated_at: Option<Time>,
            /// When the user logged in last.
            #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
            pub last_login: Option<Time>,
            /// When the user was invited.
            #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
            pub invitation_sent_at: Option<Time>,
            /// Until when the user is locked.
            #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
            pub locked_until: Option<Time>,
            /// When the password was last changed.
            #[serde(default, deserialize_with = "time::optional", skip_serializing_if = "Option::is_none")]
            pub password_changed_at: Option<Time>,
            /// How many logins have failed in a row.
            #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
            pub invalid_login_attempts: Option<i64>,
        }

        /// The body that creates or changes a user. What is absent, or `null`, stays as it is.
        ///
        /// `email` or `username` is required to create one.
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(examples(json!({
            "username": "ada", "email": "ada@example.com", "firstname": "Ada", "lastname": "Lovelace", "phone": "+14155550100"
        }))))]
        pub struct UserRequest {
            $(
                $(#[doc = $doc])*
                #[serde(default, deserialize_with = $read_request, skip_serializing_if = "Option::is_none")]
                #[cfg_attr(feature = "openapi", schema(value_type = Option<$schema>))]
                pub $field: Option<$type>,
            )*
            /// A password to set. It is sent, but never kept by a service that reads this type.
            #[serde(skip_deserializing, serialize_with = "secret::expose_optional")]
            #[serde(skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "openapi", schema(ignore))]
            pub password: Option<SecretString>,
            /// The password again.
            #[serde(skip_deserializing, serialize_with = "secret::expose_optional")]
            #[serde(skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "openapi", schema(ignore))]
            pub password_confirmation: Option<SecretString>,
        }

        impl User {
            /// A user of whom nothing but the id is known.
            pub fn new(id: UserId) -> Self {
                Self {
                    id,
                    $($field: None,)*
                    created_at: None,
                    updated_at: None,
                    activated_at: None,
                    last_login: None,
                    invitation_sent_at: None,
                    locked_until: None,
                    password_changed_at: None,
                    invalid_login_attempts: None,
                }
            }
        }

        impl UserRequest {
            /// A change of nothing, to add fields to.
            pub fn new() -> Self {
                Self::default()
            }

            $(
                $(#[doc = $doc])*
                pub fn $field(mut self, $field: impl Into<$type>) -> Self {
                    self.$field = Some($field.into());
                    self
                }
            )*

            /// Sets a password, and confirms it.
            pub fn password(mut self, password: impl Into<SecretString>) -> Self {
                let password = password.into();
                self.password_confirmation = Some(password.clone());
                self.password = Some(password);
                self
            }
        }
    };
}

user_models! {
    /// The name to log in with.
    username: String, "lenient::optional", "lenient::optional_text", String, "ada";
    /// The e-mail address.
    email: String, "lenient::optional", "lenient::optional_text", String, "ada@example.com";
    /// The first name.
    firstname: String, "lenient::optional", "lenient::optional_text", String, "Ada";
    /// The last name.
    lastname: String, "lenient::optional", "lenient::optional_text", String, "Lovelace";
    /// The phone number in E.164 form.
    phone: String, "lenient::optional", "lenient::optional_text", String, "+14155550100";
    /// Whether the user has been approved: 0 to 3, where 1 is approved.
    state: i64, "lenient::optional", "lenient::optional", super::schema::Integer, 1;
    /// What the user may do: 0 to 5, 7 or 8, where 1 is active, 2 suspended and 3 locked.
    status: i64, "lenient::optional", "lenient::optional", super::schema::Integer, 1;
    /// The user's id in another directory.
    external_id: String, "lenient::optional", "lenient::optional_text", String;
    /// The job title.
    title: String, "lenient::optional", "lenient::optional_text", String;
    /// The department.
    department: String, "lenient::optional", "lenient::optional_text", String;
    /// The company.
    company: String, "lenient::optional", "lenient::optional_text", String;
    /// A free text.
    comment: String, "lenient::optional", "lenient::optional_text", String;
    /// The group that the user is in.
    group_id: i64, "lenient::optional", "lenient::optional", super::schema::Integer;
    /// The roles that the user has.
    role_ids: Vec<i64>, "lenient::list", "lenient::list", Vec<super::schema::Integer>;
    /// The directory that the user comes from.
    directory_id: i64, "lenient::optional", "lenient::optional", super::schema::Integer;
    /// The identity provider that is trusted for the user.
    trusted_idp_id: i64, "lenient::optional", "lenient::optional", super::schema::Integer;
    /// The manager's id in Active Directory.
    manager_ad_id: String, "lenient::optional", "lenient::optional_text", String;
    /// The manager's user id.
    manager_user_id: String, "lenient::optional", "lenient::optional_text", String;
    /// The user's name in Active Directory.
    samaccountname: String, "lenient::optional", "lenient::optional_text", String;
    /// The directory groups that the user is in.
    member_of: String, "lenient::optional", "lenient::optional_text", String;
    /// The principal name in the directory.
    userprincipalname: String, "lenient::optional", "lenient::optional_text", String;
    /// The distinguished name in the directory.
    distinguished_name: String, "lenient::optional", "lenient::optional_text", String;
    /// The language that messages to the user are in, such as `en` or `pt-BR`.
    preferred_locale_code: String, "lenient::optional", "lenient::optional_text", String, "en";
    /// Attributes that the installation defines.
    custom_attributes: Map<String, Value>, "lenient::map", "lenient::map", super::schema::Attributes;
}

impl User {
    /// Whether the user has been approved, where `state` is shown.
    pub fn state(&self) -> Option<UserState> {
        self.state.map(UserState::from)
    }

    /// What the user may do, where `status` is shown.
    pub fn status(&self) -> Option<UserStatus> {
        self.status.map(UserStatus::from)
    }
}
