//! `factord token`: hardware tokens whose codes are counted (HOTP).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::{BASE32_NOPAD, HEXLOWER_PERMISSIVE};
use serde::Serialize;
use zeroize::Zeroizing;

use super::data::Data;
use super::lines::{Line, Lines, Problems, many};
use super::user::existing;
use crate::factor::token::{HARDWARE, NewToken};
use crate::mfa::hardware::Known;
use crate::mfa::ids::UserId;
use crate::mfa::import::{ImportToken, MOST_TOKENS};
use crate::node::Node;

/// Hardware tokens whose codes are counted (HOTP, RFC 4226).
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Import tokens and bind each to its user: all of a file, or none
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The file, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        data: Data,
    },
    /// List the tokens that are known, and whose they are
    #[command(after_help = "Example:\n  factord token list --output json")]
    List {
        #[command(flatten)]
        data: Data,
    },
}

const IMPORT_HELP: &str = "\
Each line of the file is one token. The user is an id, a username or an e-mail address; the secret is hexadecimal or base32,
16 to 64 bytes; the counter is that of the next code; codes have 6 or 8 digits:

  user,serial,secret,counter,digits
  ada@example.com,00412345,3132333435363738393031323334353637383930,0,6

A token that is its user's already is passed over, so that an import which a failure of the machine has cut short can be
said again.

Example:
  factord token import tokens.csv && shred -u tokens.csv";

impl Token {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Import { file, data } => import(&data, &file).await,
            Self::List { data } => list(&data).await,
        }
    }
}

/// A line of the file.
struct Wanted {
    user: String,
    token: NewToken,
}

async fn import(data: &Data, file: &Path) -> anyhow::Result<()> {
    let lines = Lines::read(file)?;
    let wanted = lines.parse("user,", parse)?;
    let mut problems = Problems::default();
    let serials = wanted
        .iter()
        .map(|(line, it)| (*line, format!("token {}", it.token.serial)));
    problems.require_once(serials);
    problems.check()?;

    let node = data.open().await?;
    let tokens = check(&node, wanted).await?;
    let (mut imported, mut there) = (0, 0);
    for (line, user, token) in tokens {
        let Some(token) = token else {
            there += 1;
            continue;
        };
        let done = node.service.decide(user, ImportToken { token }).await;
        done.map_err(|error| {
            let before = if imported == 0 {
                "nothing was imported".to_owned()
            } else {
                format!(
                    "{} imported before it; say the same again for the rest",
                    many(imported, "token")
                )
            };
            anyhow::anyhow!("line {line}: {error} ({before})")
        })?;
        imported += 1;
    }
    let record = serde_json::json!({ "imported": imported, "already_there": there });
    let there = if there == 0 {
        String::new()
    } else {
        format!(", {there} there already")
    };
    data.output.done(
        &record,
        &format!("{} imported{there}", many(imported, "token")),
    )
}

/// Looks at every line before the first token is imported: the users are there, and no token is another's. A token that is
/// its user's already is left out.
async fn check(
    node: &Node,
    wanted: Vec<(usize, Wanted)>,
) -> anyhow::Result<Vec<(usize, UserId, Option<NewToken>)>> {
    let known = node.store.hardware().await?;
    let mut problems = Problems::default();
    let mut tokens = Vec::with_capacity(wanted.len());
    let mut new: HashMap<UserId, usize> = HashMap::new();
    for (line, Wanted { user, token }) in wanted {
        let user = match existing(node, &user).await {
            Ok(user) => user,
            Err(error) => {
                problems.add(line, &error.to_string());
                continue;
            }
        };
        match owner(&known, &token) {
            None => {
                *new.entry(user.id).or_default() += 1;
                tokens.push((line, user.id, Some(token)));
            }
            Some(owner) if owner == user.id => tokens.push((line, user.id, None)),
            Some(_) => {
                let whose = "is another user's: delete the device there first";
                problems.add(line, &format!("token {} {whose}", token.serial));
            }
        }
        let imported = user.mfa.devices.iter().filter(|it| it.imported).count();
        if let Some(count) = new.get(&user.id)
            && count + imported > MOST_TOKENS
        {
            let most = format!("user {} would have more than {MOST_TOKENS} tokens", user.id);
            problems.add(line, &most);
        }
    }
    problems.check()?;
    Ok(tokens)
}

fn owner(known: &Known, token: &NewToken) -> Option<UserId> {
    Some(known.get(&token.id())?.owner?.user)
}

fn parse(line: &Line<'_>) -> Result<Wanted, String> {
    let [user, serial, secret, counter, digits] = line.values.as_slice() else {
        return Err("expected user,serial,secret,counter,digits".to_owned());
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=32).contains(&serial.len()) || !serial.bytes().all(plain) {
        return Err(
            "the serial number is not 1 to 32 letters, digits, dots, hyphens and underscores"
                .to_owned(),
        );
    }
    let seed = seed(secret).ok_or("the secret is not 16 to 64 bytes in hexadecimal or base32")?;
    let counter = counter
        .parse()
        .ok()
        .filter(|counter| *counter <= MOST_COUNTER)
        .ok_or("the counter is not a whole number from 0 to 2^53")?;
    let digits = match *digits {
        "6" => 6,
        "8" => 8,
        _ => return Err("the digits are not 6 or 8".to_owned()),
    };
    Ok(Wanted {
        user: (*user).to_owned(),
        token: NewToken {
            serial: (*serial).to_owned(),
            seed,
            counter,
            digits,
        },
    })
}

/// Hexadecimal if it can be read so, else base32: a secret that could be both by chance is one in 10^13.
fn seed(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let base32 = || {
        let text = Zeroizing::new(text.trim_end_matches('=').to_ascii_uppercase());
        BASE32_NOPAD.decode(text.as_bytes())
    };
    let bytes = HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .or_else(|_| base32());
    let bytes = bytes.ok().map(Zeroizing::new)?;
    (16..=64).contains(&bytes.len()).then_some(bytes)
}

async fn list(data: &Data) -> anyhow::Result<()> {
    let known = data.open().await?.store.hardware().await?;
    let tokens = known.iter().filter_map(|(id, hardware)| {
        let owner = hardware.owner;
        Some(Listed {
            serial: id.strip_prefix(HARDWARE)?,
            user_id: owner.map(|owner| owner.user.get()),
            device_id: owner.map(|owner| owner.device.get().to_string()),
        })
    });
    let tokens: Vec<_> = tokens.collect();
    let rows: Vec<_> = tokens.iter().map(Listed::row).collect();
    data.output
        .list(&tokens, &["SERIAL", "USER", "DEVICE"], &rows)
}

#[derive(Serialize)]
struct Listed<'a> {
    serial: &'a str,
    user_id: Option<i64>,
    device_id: Option<String>,
}

impl Listed<'_> {
    fn row(&self) -> Vec<String> {
        vec![
            self.serial.to_owned(),
            self.user_id.map(|id| id.to_string()).unwrap_or_default(),
            self.device_id.clone().unwrap_or_default(),
        ]
    }
}

/// More presses than any token lives for.
const MOST_COUNTER: u64 = 1 << 53;
