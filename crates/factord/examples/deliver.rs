//! Sends messages by the providers of a configuration, with no database and no retries: to try a mail server, a gateway
//! or a webhook before people depend on it.
//!
//!     echo '{"channel": "email", "to": "ada@example.com", "subject": "Trial", "body": "It works."}' |
//!         cargo run --example deliver -- factord.toml
//!
//! One JSON object a line comes in; for each a word goes out: `done`, `later` or `never`.

use std::env;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;

use factord::clock::{Clock, SystemClock};
use factord::config::{Config, Sources};
use factord::crypto::keys::Keys;
use factord::delivery::dispatcher::Sent;
use factord::delivery::message::{Channel, Message};
use factord::mfa::ids::UserId;
use factord::store::StoredMessage;
use factord::telemetry::Telemetry;
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    channel: Channel,
    to: String,
    subject: Option<String>,
    body: String,
    html: Option<String>,
    code: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let sources = Sources {
        file: env::args_os().nth(1).map(PathBuf::from),
        environment: env::vars().collect(),
        ..Sources::default()
    };
    let config = Config::load(&sources)?.config;
    let _telemetry = Telemetry::install(&config.log)?;
    let keys = Keys::derive(&config.storage.sealing_key);
    let clock = Arc::new(SystemClock::default());
    let sender = config
        .delivery
        .sender(Arc::clone(&clock) as Arc<dyn Clock>, &keys)?;
    for (id, line) in (1..).zip(io::stdin().lock().lines()) {
        let line: Line = serde_json::from_str(&line?)?;
        let now = clock.now();
        let message = StoredMessage {
            id,
            user: UserId::new(1).ok_or_else(|| anyhow::anyhow!("1 is an id"))?,
            at: now,
            attempts: 0,
            message: Message {
                channel: line.channel,
                to: line.to,
                subject: line.subject,
                body: line.body,
                html: line.html,
                code: line.code,
                link: None,
                about: None,
                expires_at: now.plus(120),
            },
        };
        let word = match sender.send(&message).await? {
            Sent::Done | Sent::Erased => "done",
            Sent::Later => "later",
            Sent::Never => "never",
        };
        writeln!(io::stdout(), "{word}")?;
    }
    Ok(())
}
