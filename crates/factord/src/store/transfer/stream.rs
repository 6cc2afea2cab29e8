//! The sealed stream: JSON Lines. The first line, a header in the clear, says what it is; each line after it is a JSON string
//! with a sealed row; the last is sealed as the last, and says how many there were of what.
//!
//! Each stream has a key of its own, derived from the master key and the whole header, which holds 128 random bits. A line's
//! nonce is its number, and whether it is the last: so a line opens only where it was written, and a stream that was cut
//! off, added to, or put together from two does not read as whole.

use std::io::{BufRead, Read, Write};

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, Nonce};
use data_encoding::{BASE64_NOPAD, HEXLOWER};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::TransferError;
use super::rows::{Row, TABLES, Tally, Tallying, Totals};
use crate::clock::Timestamp;
use crate::crypto::keys::Keys;

/// What a stream is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    format: String,
    version: u32,
    /// The stream's own id.
    pub stream: String,
    /// When it was written.
    pub at: String,
    /// What it was written from: `sqlite` or `postgres`.
    pub engine: String,
    /// The schema of that database.
    pub schema: i64,
    /// Whether it was closed before, so that nothing happened to it since.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Which sealing key opens it.
    key: String,
}

impl Header {
    /// The header of a new stream.
    pub fn new(
        keys: &Keys,
        rng: &mut dyn CryptoRng,
        at: Timestamp,
        (engine, schema): (&str, i64),
        is_final: bool,
    ) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            stream: HEXLOWER.encode(&id),
            at: at.to_string(),
            engine: engine.to_owned(),
            schema,
            is_final,
            key: HEXLOWER.encode(&keys.id()),
        }
    }
}

/// The part of a header that every version has.
#[derive(Deserialize)]
struct AnyVersion {
    format: String,
    version: u32,
}

/// Writes a stream.
pub struct Writer<W> {
    out: W,
    cipher: Aes256Gcm,
    line: u64,
    tallying: Tallying,
}

impl<W: Write> Writer<W> {
    /// Begins a stream with its header.
    ///
    /// # Errors
    /// [`TransferError::Write`].
    pub fn begin(mut out: W, keys: &Keys, header: &Header) -> Result<Self, TransferError> {
        let text = serde_json::json!(header).to_string();
        writeln!(out, "{text}").map_err(TransferError::Write)?;
        Ok(Self {
            out,
            cipher: keys.stream_cipher(text.as_bytes()),
            line: 1,
            tallying: Tallying::new(keys),
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`TransferError::Write`].
    pub fn add(&mut self, row: &Row) -> Result<(), TransferError> {
        let json = Zeroizing::new(row.to_json());
        self.tallying.add(row.table, &json);
        self.line += 1;
        seal(&mut self.out, &self.cipher, (self.line, false), &json)
    }

    /// Ends the stream, and gives what is in it and where it was written to, which is flushed.
    ///
    /// # Errors
    /// [`TransferError::Write`].
    pub fn end(self) -> Result<(Totals, W), TransferError> {
        let Self {
            mut out,
            cipher,
            line,
            tallying,
        } = self;
        let totals = tallying.totals();
        let named: serde_json::Map<_, _> = totals
            .named()
            .map(|(name, tally)| (name.to_owned(), serde_json::json!(tally)))
            .collect();
        let text = serde_json::Value::from(named).to_string();
        seal(&mut out, &cipher, (line + 1, true), &text)?;
        out.flush().map_err(TransferError::Write)?;
        Ok((totals, out))
    }
}

/// Reads a stream.
pub struct Reader {
    input: Box<dyn BufRead>,
    /// What it is.
    pub header: Header,
    cipher: Aes256Gcm,
    line: u64,
    tallying: Option<Tallying>,
    totals: Option<Totals>,
}

impl Reader {
    /// Reads the header. Whether it is what was written is known at the end of the stream.
    ///
    /// # Errors
    /// [`TransferError`] if it is no stream, or of another key or version.
    pub fn begin(mut input: Box<dyn BufRead>, keys: &Keys) -> Result<Self, TransferError> {
        let text = next_line(&mut *input, MOST_HEADER)?;
        let text = text.ok_or(TransferError::NotAStream("it has no header"))?;
        let any: AnyVersion = serde_json::from_slice(&text)
            .map_err(|_| TransferError::NotAStream("its first line is no header"))?;
        if any.format != FORMAT {
            return Err(TransferError::NotAStream("it has another format"));
        }
        if any.version != VERSION {
            return Err(TransferError::Version {
                found: any.version,
                known: VERSION,
            });
        }
        let header: Header = serde_json::from_slice(&text)
            .map_err(|_| TransferError::NotAStream("its first line is no header"))?;
        if header.key != HEXLOWER.encode(&keys.id()) {
            return Err(TransferError::WrongKey);
        }
        Ok(Self {
            input,
            header,
            cipher: keys.stream_cipher(&text),
            line: 1,
            tallying: Some(Tallying::new(keys)),
            totals: None,
        })
    }

    /// The next row; `None` at the end, once the rows are known to be those that were written.
    ///
    /// # Errors
    /// [`TransferError`] if it is not.
    pub fn next_row(&mut self) -> Result<Option<Row>, TransferError> {
        let Some(tallying) = &mut self.tallying else {
            return Ok(None);
        };
        let Some(text) = next_line(&mut *self.input, MOST_LINE)? else {
            return Err(TransferError::Truncated { line: self.line });
        };
        self.line += 1;
        let altered = || TransferError::Altered { line: self.line };
        let sealed = sealed_bytes(&text).ok_or_else(altered)?;
        if let Some(opened) = open(&self.cipher, self.line, false, &sealed) {
            let row = Row::from_json(&opened).ok_or_else(altered)?;
            tallying.add(
                row.table,
                std::str::from_utf8(&opened).map_err(|_| altered())?,
            );
            return Ok(Some(row));
        }
        let opened = open(&self.cipher, self.line, true, &sealed).ok_or_else(altered)?;
        let written = read_totals(&opened).ok_or_else(altered)?;
        if !self
            .input
            .fill_buf()
            .map_err(TransferError::Read)?
            .is_empty()
        {
            return Err(TransferError::GoesOn {
                line: self.line + 1,
            });
        }
        if let Some(tallying) = self.tallying.take() {
            tallying.totals().check(&written, "the rows")?;
        }
        self.totals = Some(written);
        Ok(None)
    }

    /// What the stream holds, once it was read to its end.
    pub fn totals(&self) -> Option<&Totals> {
        self.totals.as_ref()
    }
}

#[expect(
    clippy::expect_used,
    reason = "AES-GCM refuses only texts of 64 GiB and more"
)]
fn seal(
    out: &mut impl Write,
    cipher: &Aes256Gcm,
    (line, is_last): (u64, bool),
    text: &str,
) -> Result<(), TransferError> {
    let mut bytes = text.as_bytes().to_vec();
    let tag = cipher
        .encrypt_inout_detached(&nonce(line, is_last), b"", bytes.as_mut_slice().into())
        .expect("a row is shorter than 64 GiB");
    bytes.extend_from_slice(&tag);
    writeln!(out, "\"{}\"", BASE64_NOPAD.encode(&bytes)).map_err(TransferError::Write)
}

/// A line without its end; `None` if there is none, or it was cut off.
fn next_line(input: &mut dyn BufRead, most: u64) -> Result<Option<Vec<u8>>, TransferError> {
    let mut line = Vec::new();
    let read = input.take(most).read_until(b'\n', &mut line);
    read.map_err(TransferError::Read)?;
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

fn sealed_bytes(line: &[u8]) -> Option<Vec<u8>> {
    let text = line.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    BASE64_NOPAD.decode(text).ok()
}

fn open(cipher: &Aes256Gcm, line: u64, is_last: bool, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (text, tag) = sealed.split_last_chunk::<TAG>()?;
    let mut text = Zeroizing::new(text.to_vec());
    let (nonce, tag) = (nonce(line, is_last), (*tag).into());
    cipher
        .decrypt_inout_detached(&nonce, b"", text.as_mut_slice().into(), &tag)
        .ok()?;
    Some(text)
}

fn nonce(line: u64, is_last: bool) -> Nonce<Aes256Gcm> {
    let mut nonce = [0; 12];
    nonce[0] = u8::from(is_last);
    nonce[4..].copy_from_slice(&line.to_be_bytes());
    nonce.into()
}

fn read_totals(text: &[u8]) -> Option<Totals> {
    let mut named: std::collections::BTreeMap<String, Tally> = serde_json::from_slice(text).ok()?;
    let mut totals = [Tally::default(); TABLES.len()];
    for (table, tally) in TABLES.iter().zip(&mut totals) {
        *tally = named.remove(table.name)?;
    }
    named.is_empty().then_some(Totals(totals))
}

const FORMAT: &str = "factord-export";
const VERSION: u32 = 1;
const TAG: usize = 16;
/// Bytes of the longest header.
const MOST_HEADER: u64 = 4_096;
/// Bytes of the longest line: far more than the longest document.
const MOST_LINE: u64 = 64 << 20;
