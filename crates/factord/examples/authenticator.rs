//! A small authenticator app for OneLogin Protect, written from docs/factors/protect.md alone: it shares no line with the
//! service. It keeps its key and its ids in one file, which is all that an attacker would need: a real app keeps the key in
//! the phone's key store.
//!
//!     cargo run --example authenticator -- app.json activate 'factord://activate?code=…&url=…'
//!     cargo run --example authenticator -- app.json list
//!     cargo run --example authenticator -- app.json approve ID [NUMBER]
//!     cargo run --example authenticator -- app.json deny ID
//!     cargo run --example authenticator -- app.json loop

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::{Parser, Subcommand};
use data_encoding::BASE64URL_NOPAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate;
use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

#[derive(Parser)]
struct Arguments {
    /// Where the app keeps its key and its ids
    file: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Activate with what the QR code holds
    Activate {
        /// `factord://activate?code=…&url=…`
        uri: Url,
        /// What the app calls itself
        #[arg(long, default_value = "example app")]
        name: String,
    },
    /// Show what waits
    List {
        /// Seconds to wait if nothing does
        #[arg(long, default_value_t = 0)]
        wait: u32,
    },
    /// Approve a login
    Approve {
        /// The verification
        id: String,
        /// What the login shows, if it shows a number
        #[arg(default_value = "")]
        number: String,
    },
    /// Deny a login
    Deny {
        /// The verification
        id: String,
    },
    /// Ask about each login as it comes
    Loop,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { file, command } = Arguments::parse();
    let roots = rustls::crypto::ring::default_provider().install_default();
    roots.map_err(|_| anyhow::anyhow!("TLS is set up already"))?;
    if let Command::Activate { uri, name } = command {
        return activate(&file, &uri, &name).await;
    }
    let kept = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let app: App = serde_json::from_slice(&kept)?;
    match command {
        Command::Activate { .. } => {}
        Command::List { wait } => say(&app.pending(wait).await?)?,
        Command::Approve { id, number } => say(&app.answer(&id, "approve", &number).await?)?,
        Command::Deny { id } => say(&app.answer(&id, "deny", "").await?)?,
        Command::Loop => app.keep_asking().await?,
    }
    Ok(())
}

/// What the app keeps.
#[derive(Deserialize, Serialize)]
struct App {
    service: Url,
    user_id: String,
    device_id: String,
    key: String,
}

async fn activate(file: &PathBuf, uri: &Url, name: &str) -> anyhow::Result<()> {
    let parameter = |wanted: &str| {
        let mut pairs = uri.query_pairs();
        let found = pairs.find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    };
    let code = parameter("code").context("the address has no code")?;
    let service: Url = parameter("url")
        .context("the address has no url")?
        .parse()?;
    let key = SigningKey::generate_from_rng(&mut factord::clock::system_rng());
    let point = key.verifying_key().to_sec1_point(false);
    let [x, y] = [1, 33].map(|at| BASE64URL_NOPAD.encode(&point.as_bytes()[at..at + 32]));
    let activation = json!({
        "code": code, "name": name, "public_key": {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    });
    let activated = post(&service, "/app/v1/activations", &activation).await?;
    let text = |name: &str| activated[name].as_str().map(str::to_owned);
    let app = App {
        service,
        user_id: text("user_id").context("no user_id")?,
        device_id: text("device_id").context("no device_id")?,
        key: BASE64URL_NOPAD.encode(&key.to_bytes()),
    };
    let mut options = OpenOptions::new();
    let mut kept = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    kept.write_all(&serde_json::to_vec(&app)?)?;
    say(&activated)
}

impl App {
    /// A signature over netstrings: for each part its length in bytes, a colon, the part, a comma.
    fn sign(&self, parts: &[&str]) -> anyhow::Result<String> {
        let parts = parts.iter();
        let written: Vec<_> = parts
            .map(|part| format!("{}:{part},", part.len()))
            .collect();
        let key = SigningKey::from_slice(&BASE64URL_NOPAD.decode(self.key.as_bytes())?)?;
        let signature: Signature = key.sign(written.concat().as_bytes());
        Ok(BASE64URL_NOPAD.encode(&signature.to_bytes()))
    }

    async fn pending(&self, wait: u32) -> anyhow::Result<Value> {
        let service = get(&self.service, "/app/v1/service").await?;
        let at = service["at"].as_str().context("no time")?;
        let signature = self.sign(&["factord app v1 list", &self.user_id, &self.device_id, at])?;
        let asked = json!({
            "user_id": self.user_id, "device_id": self.device_id, "at": at, "wait": wait, "signature": signature
        });
        let mut pending = post(&self.service, "/app/v1/pending", &asked).await?;
        Ok(pending["verifications"].take())
    }

    async fn answer(&self, id: &str, decision: &str, number: &str) -> anyhow::Result<Value> {
        let pending = self.pending(0).await?;
        let shown = pending.as_array().into_iter().flatten();
        let shown = shown.into_iter().find(|it| it["id"] == id);
        let shown = shown.with_context(|| format!("nothing waits with the id {id}"))?;
        self.answer_shown(shown, decision, number).await
    }

    async fn answer_shown(
        &self,
        shown: &Value,
        decision: &str,
        number: &str,
    ) -> anyhow::Result<Value> {
        let text = |name: &str| shown[name].as_str().unwrap_or_default();
        let signature = self.sign(&[
            "factord app v1 answer",
            text("id"),
            &self.user_id,
            &self.device_id,
            text("service_name"),
            text("at"),
            text("message"),
            number,
            decision,
        ])?;
        let answer = json!({
            "user_id": self.user_id, "verification_id": shown["id"], "decision": decision, "number": number,
            "signature": signature
        });
        post(&self.service, "/app/v1/answers", &answer).await
    }

    /// Shows each login as a line, and reads `deny`, `approve` or `approve NUMBER` for it, until there is no more to read.
    async fn keep_asking(&self) -> anyhow::Result<()> {
        loop {
            let pending = self.pending(25).await?;
            let Some(shown) = pending.get(0) else {
                continue;
            };
            say(shown)?;
            let mut line = String::new();
            if io::stdin().read_line(&mut line)? == 0 {
                return Ok(());
            }
            let (decision, number) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            if !matches!(decision, "approve" | "deny") {
                bail!("expected deny, approve or approve NUMBER");
            }
            say(&self.answer_shown(shown, decision, number).await?)?;
        }
    }
}

async fn post(service: &Url, path: &str, body: &Value) -> anyhow::Result<Value> {
    let request = client()?.post(service.join(path)?);
    let request = request.header("content-type", "application/json");
    read(request.body(body.to_string())).await
}

async fn get(service: &Url, path: &str) -> anyhow::Result<Value> {
    read(client()?.get(service.join(path)?)).await
}

fn client() -> anyhow::Result<Client> {
    Ok(Client::builder().no_proxy().build()?)
}

async fn read(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await?;
    let status = answer.status();
    let body: Value = serde_json::from_slice(&answer.bytes().await?)?;
    ensure!(status.is_success(), "{status}: {}", body["message"]);
    Ok(body)
}

fn say(value: &Value) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{value}")?;
    Ok(())
}
