//! `factord yubikey`: the keys that we check ourselves.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Serialize;
use zeroize::Zeroizing;

use super::data::Data;
use super::lines::{Line, Lines, Problems, many};
use crate::clock;
use crate::crypto::yubico_otp::Secret;
use crate::factor::yubikey::{HARDWARE, NewKey};

/// The YubiKeys whose passwords we check ourselves.
#[derive(Debug, Subcommand)]
pub enum Yubikey {
    /// Import keys: all of a file, or none
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The file, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        data: Data,
    },
    /// List the keys that are known, and whose they are
    #[command(after_help = "Example:\n  factord yubikey list --output json")]
    List {
        #[command(flatten)]
        data: Data,
    },
}

const IMPORT_HELP: &str = "\
Each line of the file is one key, as Yubico's programming tools write it; what follows the fourth value is passed over:

  serial,public id (modhex),private id (hex),AES key (hex)
  5417533,vvccccfiluij,4e7a25a1f1b2,2f5d71e8f0c7a2b9d4e6138a5c90b7f1

Example:
  factord yubikey import keys.csv && shred -u keys.csv";

impl Yubikey {
    /// Does it.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Import { file, data } => import(&data, &file).await,
            Self::List { data } => list(&data).await,
        }
    }
}

async fn import(data: &Data, file: &Path) -> anyhow::Result<()> {
    let lines = Lines::read(file)?;
    let keys = lines.parse("serial,", parse)?;
    let names = keys
        .iter()
        .map(|(line, key)| (*line, key.public_id.to_string()));
    let mut problems = Problems::default();
    problems.require_once(names);
    problems.check()?;

    let node = data.open().await?;
    let rng = &mut clock::system_rng();
    let sealed = keys
        .iter()
        .map(|(_, key)| key.seal(&node.service.core().keys, rng));
    let known = node.store.import_hardware(sealed.collect()).await?;
    let mut problems = Problems::default();
    for (line, key) in &keys {
        if known.contains(&format!("{HARDWARE}{}", key.public_id)) {
            problems.add(
                *line,
                &format!("the key {} is known already", key.public_id),
            );
        }
    }
    problems.check()?;
    let record = serde_json::json!({ "imported": keys.len() });
    data.output
        .done(&record, &format!("{} imported", many(keys.len(), "key")))
}

/// Four values, and what other tools write after them.
fn parse(line: &Line<'_>) -> Result<NewKey, String> {
    let [serial, public_id, private_id, key, ..] = line.values.as_slice() else {
        return Err("expected serial,public id,private id,AES key".to_owned());
    };
    if !(1..=32).contains(&serial.len()) || !serial.bytes().all(|it| it.is_ascii_alphanumeric()) {
        return Err("the serial number is not 1 to 32 letters and digits".to_owned());
    }
    let public_id = public_id
        .parse()
        .map_err(|error| format!("the public id is {error}"))?;
    let private_id = hex(private_id).ok_or("the private id is not 12 hexadecimal digits")?;
    let key = hex(key).ok_or("the AES key is not 32 hexadecimal digits")?;
    Ok(NewKey {
        serial: (*serial).to_owned(),
        public_id,
        secret: Secret::of(*private_id, *key),
    })
}

fn hex<const BYTES: usize>(text: &str) -> Option<Zeroizing<[u8; BYTES]>> {
    let bytes = HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .ok()
        .map(Zeroizing::new)?;
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

async fn list(data: &Data) -> anyhow::Result<()> {
    let known = data.open().await?.store.hardware().await?;
    let keys = known.iter().filter_map(|(id, hardware)| {
        let owner = hardware.owner;
        Some(Listed {
            public_id: id.strip_prefix(HARDWARE)?,
            serial: hardware.serial.as_deref(),
            imported: hardware.secret.is_some(),
            user_id: owner.map(|owner| owner.user.get()),
            device_id: owner.map(|owner| owner.device.get().to_string()),
        })
    });
    let keys: Vec<_> = keys.collect();
    let rows: Vec<_> = keys.iter().map(Listed::row).collect();
    data.output.list(
        &keys,
        &["PUBLIC ID", "SERIAL", "IMPORTED", "USER", "DEVICE"],
        &rows,
    )
}

#[derive(Serialize)]
struct Listed<'a> {
    public_id: &'a str,
    serial: Option<&'a str>,
    imported: bool,
    user_id: Option<i64>,
    device_id: Option<String>,
}

impl Listed<'_> {
    fn row(&self) -> Vec<String> {
        vec![
            self.public_id.to_owned(),
            self.serial.unwrap_or_default().to_owned(),
            if self.imported { "yes" } else { "no" }.to_owned(),
            self.user_id.map(|id| id.to_string()).unwrap_or_default(),
            self.device_id.clone().unwrap_or_default(),
        ]
    }
}
