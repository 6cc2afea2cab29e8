//! E-mail by SMTP submission (RFC 6409): TLS from the start or by STARTTLS, authentication, connections that are used
//! again. What a refusal means depends on the step it comes at, so each step is taken here and not by the library.

mod step;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::letter::{self, Letter};
use super::provider::{Failure, HandOver, Meaning, Provider, delivery_id};
use super::settings::SetupError;
use crate::clock::Timestamp;
use crate::store::StoredMessage;
use step::Step;

/// Where the mail server is, and what it is told.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Its name, which its certificate must bear.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is made secret.
    pub security: Security,
    /// The user name and the password, where it asks for them.
    pub login: Option<(String, SecretString)>,
    /// Whom the e-mails are from; the address is ASCII.
    pub from: Mailbox,
}

/// How a connection is made secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// STARTTLS, and nothing is sent if the server does not offer it.
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// Not at all: for a server on this machine only.
    None,
}

impl Security {
    /// The port that is usual.
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// A mail server.
pub struct Smtp {
    settings: SmtpSettings,
    tls: TlsParameters,
    hello: ClientId,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Smtp {
    /// A mail server whose certificate is of one of the system's authorities, or of one in `roots` (PEM).
    ///
    /// # Errors
    /// [`SetupError`] if TLS cannot be set up.
    pub fn new(settings: SmtpSettings, roots: &[u8]) -> Result<Self, SetupError> {
        let unusable = |error: lettre::transport::smtp::Error| SetupError(error.to_string());
        let tls = TlsParametersBuilder::new(settings.host.clone())
            .add_root_certificate(Certificate::from_pem(roots).map_err(unusable)?)
            .build_rustls()
            .map_err(unusable)?;
        Ok(Self {
            tls,
            hello: ClientId::Domain(settings.from.email.domain().to_owned()),
            settings,
            idle: Mutex::default(),
        })
    }

    async fn deliver(&self, message: &StoredMessage) -> Result<(), Failure> {
        let to = letter::address(&message.message.to)
            .ok_or_else(|| Failure::new(Meaning::Refused, "not an address"))?;
        let letter = Letter {
            from: &self.settings.from,
            to: &to,
            subject: message.message.subject.as_deref().unwrap_or_default(),
            text: &message.message.body,
            html: message.message.html.as_deref(),
            id: &delivery_id(message),
            at: message.at,
        };
        let letter = letter
            .compose()
            .map_err(|_| Failure::new(Meaning::Refused, "the e-mail cannot be written"))?;
        let mut connection = self.connection().await?;
        let sent = self.transact(&mut connection, to, &letter).await;
        match sent {
            Ok(()) => self.keep(connection),
            Err(_) => close(connection),
        }
        sent
    }

    /// One that is open already, if it still answers.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Failure> {
        while let Some(Idle {
            mut connection,
            since,
        }) = self.take_idle()
        {
            let answers = since.elapsed() < LONGEST_IDLE
                && connection
                    .command(Noop)
                    .await
                    .is_ok_and(|reply| reply.has_code(250));
            if answers {
                return Ok(connection);
            }
            close(connection);
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let SmtpSettings { host, port, .. } = &self.settings;
        let from_the_start =
            (self.settings.security == Security::Implicit).then(|| self.tls.clone());
        let server = (host.as_str(), *port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, from_the_start, None)
                .await
                .map_err(|error| Step::Connect.failed(&error))?;
        if self.settings.security == Security::Starttls {
            connection
                .starttls(self.tls.clone(), &self.hello)
                .await
                .map_err(|error| Step::StartTls.failed(&error))?;
        }
        if let Some((user, password)) = &self.settings.login {
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            let reply = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            Step::LogIn.expect(reply)?;
        }
        Ok(connection)
    }

    async fn transact(
        &self,
        connection: &mut AsyncSmtpConnection,
        to: Address,
        letter: &[u8],
    ) -> Result<(), Failure> {
        let sender = self.settings.from.email.clone();
        let parameters = parameters(connection, &to, letter)?;
        Step::Sender.expect(
            connection
                .command(Mail::new(Some(sender), parameters))
                .await,
        )?;
        Step::Recipient.expect(connection.command(Rcpt::new(to, Vec::new())).await)?;
        Step::Begin.expect(connection.command(Data).await)?;
        Step::End.expect(connection.message(letter).await)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            let since = Instant::now();
            idle.push(Idle { connection, since });
        } else {
            close(connection);
        }
    }

    fn take_idle(&self) -> Option<Idle> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for Smtp {
    fn name(&self) -> &'static str {
        "smtp"
    }

    fn hand_over<'a>(&'a self, message: &'a StoredMessage, _: Timestamp) -> HandOver<'a> {
        Box::pin(self.deliver(message))
    }
}

/// What the server must be told, and be able to do, where something is not ASCII (RFC 6531, RFC 6152).
fn parameters(
    connection: &AsyncSmtpConnection,
    to: &Address,
    letter: &[u8],
) -> Result<Vec<MailParameter>, Failure> {
    let to: &str = to.as_ref();
    if to.is_ascii() && letter.is_ascii() {
        return Ok(Vec::new());
    }
    let can = |extension| connection.server_info().supports_feature(extension);
    if can(Extension::SmtpUtfEight) && can(Extension::EightBitMime) {
        return Ok(vec![
            MailParameter::SmtpUtfEight,
            MailParameter::Body(MailBodyParameter::EightBitMime),
        ]);
    }
    Err(Failure::new(
        Meaning::Refused,
        "the server takes no address beyond ASCII",
    ))
}

/// Says good-bye without anybody waiting for it.
fn close(mut connection: AsyncSmtpConnection) {
    tokio::spawn(async move {
        // Whether the server was there to hear it makes no difference.
        drop(tokio::time::timeout(GOOD_BYE, connection.abort()).await);
    });
}

/// Connections that are kept open.
const MOST_IDLE: usize = 4;
/// Servers close theirs after some minutes (RFC 5321 asks for five).
const LONGEST_IDLE: Duration = Duration::from_mins(1);
const GOOD_BYE: Duration = Duration::from_secs(2);
