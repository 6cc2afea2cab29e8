//! What can be asked on the command line, and how the help says it.

mod users;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::users::{Fields, Filter, Users};
use crate::exit;

const CONFIGURATION: &str = "\
Configuration, the first that is given counts: a flag, an ONELOGIN_* variable, the profile.
  Profiles are tables of ~/.config/onelogin/profiles.toml (or --config), readable by nobody else:

    [default]
    host = \"https://example.onelogin.com\"
    client_id = \"…\"
    client_secret = \"…\"            # or client_secret_file = \"…\", or access_token = \"…\"
    # ca_certificate = \"ca.pem\"    # a private certificate authority to trust, too
    # allow_plain_http = true      # http to another machine

  The secret is never a flag, since other users of the machine can read the arguments of a program:
  give it as ONELOGIN_CLIENT_SECRET, in the profile, or by --client-secret-file.";

const EXAMPLES: &str = "\
Examples:
  onelogin devices ada@example.com
  onelogin enroll ada@example.com --factor Authenticator --name \"My phone\"
  onelogin verify ada@example.com
  onelogin verify 56 --start --output json | jq -r .id
  onelogin poll 56 c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce --watch";

/// Enrols, challenges and verifies the second factors of a service's users.
#[derive(Debug, Parser)]
#[command(name = "onelogin", version, max_term_width = 110, after_help = EXAMPLES, disable_help_subcommand = false)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{CONFIGURATION}\n\n{}", exit::HELP))]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,

    /// How results are printed
    #[arg(
        long,
        global = true,
        value_enum,
        env = "ONELOGIN_OUTPUT",
        hide_env_values = true
    )]
    pub(crate) output: Option<Format>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the service is, and who asks.
#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Base URL of the service
    #[arg(long, global = true, env = "ONELOGIN_HOST", value_name = "URL")]
    pub(crate) host: Option<String>,

    /// Id of the API credential
    #[arg(long, global = true, env = "ONELOGIN_CLIENT_ID", value_name = "ID")]
    pub(crate) client_id: Option<String>,

    /// File that holds the API credential's secret
    #[arg(
        long,
        global = true,
        env = "ONELOGIN_CLIENT_SECRET_FILE",
        value_name = "FILE"
    )]
    pub(crate) client_secret_file: Option<PathBuf>,

    /// Profile to use, by default `default`
    #[arg(long, global = true, env = "ONELOGIN_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// File of the profiles
    #[arg(long, global = true, env = "ONELOGIN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// PEM file with a private certificate authority to trust, too
    #[arg(
        long,
        global = true,
        env = "ONELOGIN_CA_CERTIFICATE",
        value_name = "FILE"
    )]
    pub(crate) ca_certificate: Option<PathBuf>,

    /// Allow http to another machine: tokens and codes travel in the clear
    #[arg(long, global = true)]
    pub(crate) allow_plain_http: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: the fields of the API
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the factors that a user may still enrol
    Factors(User),
    /// List the devices that a user has enrolled
    Devices(User),
    /// Enrol a factor: show what is to be scanned, ask for the code, or wait for the confirmation
    Enroll(Enroll),
    /// Challenge a device and check the code, or wait for the confirmation
    Verify(Verify),
    /// Look how a verification or registration stands
    Poll(Poll),
    /// Delete an enrolled device
    Delete(Delete),
    /// Make a temporary MFA token, which stands in for a user's devices for a while
    Token(Token),
    /// Find, create, change and delete users
    #[command(subcommand)]
    Users(Users),
    /// The API credential itself
    #[command(subcommand)]
    Auth(Auth),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages
    Man {
        /// Folder to write them to; without it the main page goes to standard output
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Whom it is about.
#[derive(Args, Clone, Debug)]
pub(crate) struct User {
    /// The user: an id, a user name or an e-mail address
    #[arg(value_name = "USER")]
    pub(crate) user: String,
}

/// `onelogin enroll`
#[derive(Args, Debug)]
#[command(
    after_help = "With --output json, without a code, it prints the registration and ends: confirm with `verify --registration`."
)]
pub(crate) struct Enroll {
    #[command(flatten)]
    pub(crate) user: User,

    /// The factor: its id or name, as `onelogin factors` lists it
    #[arg(long)]
    pub(crate) factor: String,

    /// The user's name for the device
    #[arg(long, default_value = "My device")]
    pub(crate) name: String,

    /// Take the user's stored phone or e-mail address as proven (SMS, Voice and Email only)
    #[arg(long)]
    pub(crate) verified: bool,

    /// Where the browser goes after a link or a hosted page succeeded
    #[arg(long, value_name = "URL")]
    pub(crate) redirect_to: Option<String>,

    /// Text of the SMS, with {{otp_code}} and {{otp_expiry}}
    #[arg(long, value_name = "TEXT")]
    pub(crate) message: Option<String>,

    /// Draw the QR code although this is no terminal
    #[arg(long)]
    pub(crate) qr: bool,

    #[command(flatten)]
    pub(crate) lifetime: Lifetime,

    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// `onelogin verify`
#[derive(Args, Debug)]
#[command(after_help = "\
With --code alone the code is checked against the user's open verifications and temporary tokens.
Without a code it is asked for on the terminal, or read as one line from standard input.")]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) user: User,

    /// The device to challenge, by default the user's default device
    #[arg(long, value_name = "ID", conflicts_with_all = ["verification", "registration"])]
    pub(crate) device: Option<String>,

    /// Complete this verification instead of beginning one
    #[arg(long, value_name = "ID", group = "pending")]
    pub(crate) verification: Option<String>,

    /// Confirm this registration instead of beginning a verification
    #[arg(long, value_name = "ID", group = "pending")]
    pub(crate) registration: Option<String>,

    /// The code, if the user has it already
    #[arg(long)]
    pub(crate) code: Option<String>,

    /// What a security key answered to --verification or --registration: a file with the `PublicKeyCredential` as JSON, or
    /// - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["code", "device"], requires = "pending")]
    pub(crate) credential: Option<PathBuf>,

    /// Only challenge: print the verification and end
    #[arg(long, conflicts_with_all = ["code", "verification", "registration"])]
    pub(crate) start: bool,

    /// Ask for a push whose number is shown here
    #[arg(long)]
    pub(crate) number_matching: bool,

    /// Where the browser goes after a link or a hosted page succeeded
    #[arg(long, value_name = "URL")]
    pub(crate) redirect_to: Option<String>,

    /// Text of the SMS, with {{otp_code}} and {{otp_expiry}}
    #[arg(long, value_name = "TEXT")]
    pub(crate) message: Option<String>,

    #[command(flatten)]
    pub(crate) lifetime: Lifetime,

    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// `onelogin poll`
#[derive(Args, Debug)]
pub(crate) struct Poll {
    #[command(flatten)]
    pub(crate) user: User,

    /// The verification, or with --registration the registration
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// The id is a registration's
    #[arg(long)]
    pub(crate) registration: bool,

    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// How long the service keeps it open.
#[derive(Args, Debug)]
pub(crate) struct Lifetime {
    /// Seconds until it expires: 120 to 900
    #[arg(long, value_name = "SECONDS")]
    pub(crate) expires_in: Option<i64>,
}

/// How long to wait for a person.
#[derive(Args, Debug)]
pub(crate) struct Waiting {
    /// Wait for the decision, also where a code could be asked for
    #[arg(long)]
    pub(crate) watch: bool,

    /// How many seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

/// `onelogin delete`
#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) user: User,

    /// The device, as `onelogin devices` lists it
    #[arg(value_name = "DEVICE")]
    pub(crate) device: String,

    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `onelogin token`
#[derive(Args, Debug)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) user: User,

    /// Seconds that it lives: 120 to 259200
    #[arg(long, value_name = "SECONDS")]
    pub(crate) expires_in: Option<i64>,

    /// It works more than once
    #[arg(long)]
    pub(crate) reusable: bool,
}

/// `onelogin auth`
#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Try the credential: fetch a bearer token and say how long it lives
    Check,
    /// Show what is left of the rate limit
    RateLimit,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
