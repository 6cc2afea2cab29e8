//! `factord credential`: who may call the API.

use clap::Subcommand;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::data::Data;
use super::output::confirm;
use crate::auth;
use crate::auth::scope::Scope;
use crate::clock::{self, Timestamp};
use crate::crypto::tokens::{self, TokenHash};
use crate::node::Node;
use crate::store::StoreError;

/// The credentials of API clients.
#[derive(Debug, Subcommand)]
pub enum Credential {
    /// Create a credential, and print its secret this once
    #[command(
        after_help = "Example:\n  factord credential create --id login-page --scope 'Verify MFA'"
    )]
    Create {
        /// What it may do: Authentication Only, Read Users, Manage Users, Read All, Manage All or Verify MFA
        #[arg(long)]
        scope: Scope,
        /// The client id, 1 to 64 letters, digits, dots, hyphens and underscores [default: a random one]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        data: Data,
    },
    /// List the credentials
    #[command(after_help = "Example:\n  factord credential list --output json")]
    List {
        #[command(flatten)]
        data: Data,
    },
    /// Revoke a credential: it gets no more tokens, and those it has are void within a second
    #[command(after_help = "Example:\n  factord credential revoke login-page --yes")]
    Revoke {
        /// The client id
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        data: Data,
    },
}

impl Credential {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create { scope, id, data } => create(&data, scope, id).await,
            Self::List { data } => list(&data).await,
            Self::Revoke { id, yes, data } => revoke(&data, id, yes).await,
        }
    }
}

async fn create(data: &Data, scope: Scope, id: Option<String>) -> anyhow::Result<()> {
    let node = data.open().await?;
    let id = id.unwrap_or_else(|| {
        tokens::generate(&mut clock::system_rng())
            .expose_secret()
            .to_owned()
    });
    let secret = tokens::generate(&mut clock::system_rng());
    keep(&node, &id, &secret, scope).await?;
    let secret = secret.expose_secret();
    data.output.one(
        &Created {
            client_id: &id,
            client_secret: secret,
            scope: scope.as_str(),
        },
        &[
            ("client id", id.clone()),
            ("client secret", secret.to_owned()),
            ("scope", scope.to_string()),
            (
                "",
                "The secret is not kept, and cannot be shown again.".to_owned(),
            ),
        ],
    )
}

/// Keeps a credential.
pub async fn keep(
    node: &Node,
    id: &str,
    secret: &SecretString,
    scope: Scope,
) -> anyhow::Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    anyhow::ensure!(
        (1..=64).contains(&id.len()) && id.bytes().all(plain),
        "a client id is 1 to 64 letters, digits, dots, hyphens and underscores"
    );
    let credential = auth::Credential {
        id: id.to_owned(),
        secret: TokenHash::of_secret(secret),
        scope,
        created_at: node.store.now(),
        revoked_at: None,
    };
    match node.store.insert_credential(credential).await {
        Err(StoreError::Conflict(_)) => {
            anyhow::bail!("there is a credential {id} already: choose another --id")
        }
        result => Ok(result?),
    }
}

async fn list(data: &Data) -> anyhow::Result<()> {
    let credentials = data.open().await?.store.credentials().await?;
    let records: Vec<_> = credentials.iter().map(Listed::of).collect();
    let rows: Vec<_> = records
        .iter()
        .map(|it| {
            let revoked = it.revoked_at.clone().unwrap_or_default();
            vec![
                it.client_id.to_owned(),
                it.scope.to_owned(),
                it.created_at.clone(),
                revoked,
            ]
        })
        .collect();
    data.output.list(
        &records,
        &["CLIENT ID", "SCOPE", "CREATED", "REVOKED"],
        &rows,
    )
}

async fn revoke(data: &Data, id: String, yes: bool) -> anyhow::Result<()> {
    let node = data.open().await?;
    let credential = node.store.credential(id.clone()).await?;
    anyhow::ensure!(
        credential.is_some(),
        "there is no credential {id}: `factord credential list` shows them"
    );
    confirm(&format!("revoke {id}, and every token it has"), yes)?;
    let revoked = node.store.revoke_credential(id.clone()).await?;
    let sentence = if revoked {
        format!("{id} is revoked")
    } else {
        format!("{id} was revoked before")
    };
    let record = serde_json::json!({ "client_id": id, "revoked": true });
    data.output.done(&record, &sentence)
}

#[derive(Serialize)]
struct Created<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    scope: &'a str,
}

#[derive(Serialize)]
struct Listed<'a> {
    client_id: &'a str,
    scope: &'a str,
    created_at: String,
    revoked_at: Option<String>,
}

impl<'a> Listed<'a> {
    fn of(credential: &'a auth::Credential) -> Self {
        Self {
            client_id: &credential.id,
            scope: credential.scope.as_str(),
            created_at: credential.created_at.to_string(),
            revoked_at: credential.revoked_at.as_ref().map(Timestamp::to_string),
        }
    }
}
