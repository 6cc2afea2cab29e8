//! What was found, for people and for programs.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::load::{Measured, count};
use crate::server::Server;

/// One scenario at one number of connections on one server.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub scenario: String,
    /// The server.
    pub server: String,
    /// Its store; nothing for the baseline.
    pub store: &'static str,
    /// Users with a device each.
    pub devices: usize,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// Units done in a second.
    pub per_second: f64,
    /// The rate that the open loop asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<f64>,
    /// Half of the units took at most so many microseconds.
    pub p50_us: u64,
    /// 99 % of them.
    pub p99_us: u64,
    /// 99.9 % of them.
    pub p999_us: u64,
    /// Units that the server was too busy for.
    pub shed: u64,
    /// Processor seconds of the server for a thousand units; PostgreSQL's own are not among them.
    pub cpu_seconds_per_1000: f64,
    /// The most memory that the server has had until now.
    pub peak_memory_mib: f64,
    /// The rate as a share of the baseline's in the same minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_baseline: Option<f64>,
    /// The rate as a share of that with the fewest devices on the same store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_fewest: Option<f64>,
}

impl Row {
    /// A row of what was measured, with the processor seconds that the server took.
    ///
    /// # Errors
    /// If the server has ended.
    pub fn of(
        scenario: &str,
        server: &Server,
        connections: usize,
        measured: &Measured,
        cpu: f64,
    ) -> anyhow::Result<Self> {
        let at = |quantile| measured.done.value_at_quantile(quantile);
        Ok(Self {
            scenario: scenario.to_owned(),
            server: server.name.clone(),
            store: server.store(),
            devices: server.devices,
            connections,
            per_second: measured.per_second(),
            asked: None,
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            shed: measured.shed.len(),
            cpu_seconds_per_1000: cpu / (count(&measured.done) + count(&measured.shed)) * 1000.0,
            peak_memory_mib: server.process.peak_memory_mib()?,
            of_baseline: None,
            of_fewest: None,
        })
    }
}

/// Prints rows as they come.
#[derive(Debug)]
pub struct Report {
    json: bool,
    record: Option<File>,
}

impl Report {
    /// JSON, an object a line, or a table in Markdown; and JSON to the file `record`.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn new(json: bool, record: Option<&Path>) -> io::Result<Self> {
        let record = record.map(File::create).transpose()?;
        Ok(Self { json, record })
    }

    /// Prints the head of the table.
    ///
    /// # Errors
    /// If nobody takes it.
    pub fn head(&self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let names = COLUMNS.map(|(name, width, left)| {
            if left {
                format!("{name:width$}")
            } else {
                format!("{name:>width$}")
            }
        });
        let rules = COLUMNS.map(|(_, width, left)| {
            let end = if left { "-" } else { ":" };
            "-".repeat(width + 1) + end
        });
        let mut out = io::stdout().lock();
        writeln!(out, "\n| {} |\n|{}|", names.join(" | "), rules.join("|"))?;
        out.flush()
    }

    /// Prints a row.
    ///
    /// # Errors
    /// If nobody takes it.
    pub fn row(&self, row: &Row) -> anyhow::Result<()> {
        let object = serde_json::to_string(row)?;
        self.keep(&object)?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{object}")?;
            return Ok(());
        }
        let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |it| format!("{it:.3}"));
        let values = [
            row.scenario.clone(),
            row.server.clone(),
            row.store.to_owned(),
            row.devices.to_string(),
            row.connections.to_string(),
            format!("{:.0}", row.per_second),
            millis(row.p50_us),
            millis(row.p99_us),
            millis(row.p999_us),
            row.shed.to_string(),
            format!("{:.4}", row.cpu_seconds_per_1000),
            format!("{:.0}", row.peak_memory_mib),
            ratio(row.of_baseline),
            ratio(row.of_fewest),
        ];
        let cells = values.iter().zip(COLUMNS).map(|(value, (_, width, left))| {
            if left {
                format!("{value:width$}")
            } else {
                format!("{value:>width$}")
            }
        });
        writeln!(out, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
        Ok(out.flush()?)
    }

    /// Ends the table.
    ///
    /// # Errors
    /// If nobody takes it.
    pub fn end(&self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(io::stdout().lock())
    }

    /// Prints something beside the table.
    ///
    /// # Errors
    /// If nobody takes it.
    pub fn note(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let value = serde_json::to_value(value)?;
        let object = serde_json::json!({ name: value }).to_string();
        self.keep(&object)?;
        let mut out = io::stdout().lock();
        match value {
            _ if self.json => writeln!(out, "{object}")?,
            Value::Object(values) => {
                let parts: Vec<_> = values
                    .iter()
                    .map(|(key, it)| format!("{key} {}", short(it)))
                    .collect();
                writeln!(out, "{name}: {}", parts.join(", "))?;
            }
            value => writeln!(out, "{name}: {}", short(&value))?,
        }
        Ok(out.flush()?)
    }

    fn keep(&self, object: &str) -> io::Result<()> {
        if let Some(file) = &self.record {
            let mut file: &File = file;
            writeln!(file, "{object}")?;
        }
        Ok(())
    }
}

/// A value as people read it: numbers to a thousandth.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "not measured".to_owned(),
        Value::Array(values) => {
            let parts: Vec<_> = values.iter().map(short).collect();
            parts.join(" / ")
        }
        Value::Number(number) if number.is_f64() => {
            format!("{:.3}", number.as_f64().unwrap_or_default())
        }
        value => value.to_string(),
    }
}

fn millis(micros: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let millis = micros as f64 / 1000.0;
    format!("{millis:.2}")
}

/// The name, width and side of each column.
const COLUMNS: [(&str, usize, bool); 14] = [
    ("scenario", 8, true),
    ("server", 9, true),
    ("store", 10, true),
    ("devices", 8, false),
    ("conn.", 5, false),
    ("per s", 7, false),
    ("p50 ms", 8, false),
    ("p99 ms", 8, false),
    ("p99.9 ms", 8, false),
    ("shed", 6, false),
    ("CPU s/k", 7, false),
    ("MiB", 5, false),
    ("of base", 7, false),
    ("of fewest", 9, false),
];
