//! How a run ends: exit codes that a script can tell apart, and errors that say what to do next.

use std::{fmt, io, process::ExitCode};

/// The part of the help that lists the exit codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done, or accepted
  1  the service could not be reached, or answered something unexpected
  2  the arguments or the configuration are wrong
  3  the credentials are refused, or allow too little
  4  there is no such user, device, registration or verification
  5  the code is wrong, or the request was rejected
  6  still pending
  7  locked out or rate limited for now: try later
  8  the service refuses a value";

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Forbidden = 3,
    NotFound = 4,
    Rejected = 5,
    Pending = 6,
    Later = 7,
    Refused = 8,
}

/// Why a run did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    advice: Option<String>,
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            advice: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// What to do next.
    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl From<onelogin::Error> for Failure {
    fn from(error: onelogin::Error) -> Self {
        let (exit, advice) = match &error {
            onelogin::Error::Configuration(_) => (
                Exit::Usage,
                "see `onelogin help` for the ways to configure it",
            ),
            onelogin::Error::Request(_) => (Exit::Usage, ""),
            onelogin::Error::Deadline { .. } => (Exit::Pending, "`onelogin poll` looks again"),
            onelogin::Error::NoDevice => (Exit::NotFound, "`onelogin enroll` adds a device"),
            onelogin::Error::Transport { .. } => (
                Exit::Failed,
                "check --host, and whether the service is running",
            ),
            _ if error.is_unauthenticated() => (
                Exit::Forbidden,
                "check the client id and secret, or the access token",
            ),
            _ if error.is_wrong_code() => (Exit::Rejected, ""),
            _ if error.is_locked_out() || error.is_rate_limited() => (Exit::Later, ""),
            _ => match error.status() {
                Some(403) => (
                    Exit::Forbidden,
                    "the credential's scope may be too small, the user suspended, or the device disabled",
                ),
                Some(404) => (Exit::NotFound, ""),
                Some(400 | 422) => (Exit::Refused, ""),
                _ => (Exit::Failed, ""),
            },
        };
        let failure = Self::new(exit, error.to_string());
        if advice.is_empty() {
            failure
        } else {
            failure.advice(advice)
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Who closed the pipe has read enough.
        let exit = if error.kind() == io::ErrorKind::BrokenPipe {
            Exit::Done
        } else {
            Exit::Failed
        };
        Self::new(exit, error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.advice {
            Some(advice) => write!(formatter, "\n  {advice}"),
            None => Ok(()),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
