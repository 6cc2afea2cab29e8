//! What a credential may do (contract, Scopes of a credential).

use std::fmt;
use std::str::FromStr;

/// The scope of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Nothing but to exist.
    AuthenticationOnly,
    /// Read users.
    ReadUsers,
    /// Read and write users, and issue temporary tokens.
    ManageUsers,
    /// Read everything.
    ReadAll,
    /// Everything.
    ManageAll,
    /// List devices, start, poll and complete verifications, find a user by exact name.
    VerifyMfa,
}

/// What a request needs leave for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read users in full.
    ReadUsers,
    /// Find a user by exact `username`, and read `id`, `state` and `status`.
    FindUser,
    /// Create, change and delete users.
    WriteUsers,
    /// List devices; start, poll and complete verifications.
    Verify,
    /// Issue temporary tokens.
    IssueTokens,
    /// Every other MFA operation: factors, registrations, deleting a device.
    ManageMfa,
}

impl Scope {
    /// Every scope, in the order of the contract.
    pub const ALL: [Self; 6] = [
        Self::AuthenticationOnly,
        Self::ReadUsers,
        Self::ManageUsers,
        Self::ReadAll,
        Self::ManageAll,
        Self::VerifyMfa,
    ];

    /// The name on the command line and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticationOnly => "Authentication Only",
            Self::ReadUsers => "Read Users",
            Self::ManageUsers => "Manage Users",
            Self::ReadAll => "Read All",
            Self::ManageAll => "Manage All",
            Self::VerifyMfa => "Verify MFA",
        }
    }

    /// Whether the scope gives leave.
    pub const fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::FindUser => !matches!(self, Self::AuthenticationOnly),
            Permission::ReadUsers => {
                matches!(
                    self,
                    Self::ReadUsers | Self::ManageUsers | Self::ReadAll | Self::ManageAll
                )
            }
            Permission::WriteUsers | Permission::IssueTokens => {
                matches!(self, Self::ManageUsers | Self::ManageAll)
            }
            Permission::Verify => matches!(self, Self::ManageAll | Self::VerifyMfa),
            Permission::ManageMfa => matches!(self, Self::ManageAll),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such scope: one of Authentication Only, Read Users, Manage Users, Read All, Manage All, Verify MFA"
)]
pub struct NoSuchScope;

/// By name, whatever the case; blanks may be hyphens or underscores.
impl FromStr for Scope {
    type Err = NoSuchScope;

    fn from_str(text: &str) -> Result<Self, NoSuchScope> {
        let text = text.trim().replace(['-', '_'], " ");
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str().eq_ignore_ascii_case(&text))
            .ok_or(NoSuchScope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_by_its_name_in_any_case() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(
                scope.as_str().to_lowercase().replace(' ', "-").parse(),
                Ok(scope)
            );
        }
        assert_eq!("admin".parse::<Scope>(), Err(NoSuchScope));
    }

    #[test]
    fn what_each_scope_may_do() {
        use Permission::{FindUser, IssueTokens, ManageMfa, ReadUsers, Verify, WriteUsers};
        let all = [
            ReadUsers,
            FindUser,
            WriteUsers,
            Verify,
            IssueTokens,
            ManageMfa,
        ];
        let allowed = |scope: Scope| {
            all.into_iter()
                .filter(|it| scope.allows(*it))
                .collect::<Vec<_>>()
        };
        assert_eq!(allowed(Scope::AuthenticationOnly), []);
        assert_eq!(allowed(Scope::ReadUsers), [ReadUsers, FindUser]);
        assert_eq!(
            allowed(Scope::ManageUsers),
            [ReadUsers, FindUser, WriteUsers, IssueTokens]
        );
        assert_eq!(allowed(Scope::ReadAll), [ReadUsers, FindUser]);
        assert_eq!(allowed(Scope::ManageAll), all);
        assert_eq!(allowed(Scope::VerifyMfa), [FindUser, Verify]);
    }
}
