//! What was found, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::load::{Measured, count};

/// One scenario at one number of connections on one server.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub scenario: String,
    /// The server and its store.
    pub server: String,
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
    /// Processor seconds of the server for a thousand units.
    pub cpu_seconds_per_1000: f64,
    /// The most memory that the server has had until now.
    pub peak_memory_mib: f64,
    /// The rate as a share of the baseline's in the same minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_baseline: Option<f64>,
}

impl Row {
    /// A row of what was measured.
    pub fn of(
        scenario: &str,
        server: &str,
        connections: usize,
        measured: &Measured,
        cpu: f64,
        memory: f64,
    ) -> Self {
        let at = |quantile| measured.done.value_at_quantile(quantile);
        Self {
            scenario: scenario.to_owned(),
            server: server.to_owned(),
            connections,
            per_second: measured.per_second(),
            asked: None,
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            shed: measured.shed.len(),
            cpu_seconds_per_1000: cpu / (count(&measured.done) + count(&measured.shed)) * 1000.0,
            peak_memory_mib: memory,
            of_baseline: None,
        }
    }
}

/// Prints rows as they come.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    json: bool,
}

impl Report {
    /// JSON, an object a line, or a table in Markdown.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints the head of the table.
    ///
    /// # Errors
    /// If nobody takes it.
    pub fn head(self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "| {:8} | {:22} | {:>5} | {:>8} | {:>8} | {:>8} | {:>8} | {:>8} | {:>6} | {:>7} |",
            "scenario",
            "server",
            "conn.",
            "per s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU s/k",
            "MiB",
            "of base"
        )?;
        let line = |width: usize, right: &str| "-".repeat(width + 1) + right;
        let widths = [
            (8, "-"),
            (22, "-"),
            (5, ":"),
            (8, ":"),
            (8, ":"),
            (8, ":"),
            (8, ":"),
            (8, ":"),
            (6, ":"),
            (7, ":"),
        ];
        let rule: Vec<String> = widths
            .iter()
            .map(|(width, right)| line(*width, right))
            .collect();
        writeln!(out, "|{}|", rule.join("|"))?;
        out.flush()
    }

    /// Prints a row.
    ///
    /// # Errors
    /// If nobody takes it.
    pub fn row(self, row: &Row) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            return writeln!(out, "{}", serde_json::to_string(row)?);
        }
        let ratio = row
            .of_baseline
            .map_or_else(String::new, |ratio| format!("{ratio:.3}"));
        writeln!(
            out,
            "| {:8} | {:22} | {:>5} | {:>8.0} | {} | {} | {} | {:>8.4} | {:>6.0} | {:>7} |",
            row.scenario,
            row.server,
            row.connections,
            row.per_second,
            millis(row.p50_us),
            millis(row.p99_us),
            millis(row.p999_us),
            row.cpu_seconds_per_1000,
            row.peak_memory_mib,
            ratio
        )?;
        out.flush()
    }

    /// Prints something beside the table.
    ///
    /// # Errors
    /// If nobody takes it.
    pub fn note(self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let value = serde_json::to_value(value)?;
        if self.json {
            return writeln!(out, "{}", serde_json::json!({ name: value }));
        }
        let value = match value {
            serde_json::Value::String(text) => text,
            value => value.to_string(),
        };
        writeln!(out, "{name}: {value}")
    }
}

fn millis(micros: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let millis = micros as f64 / 1000.0;
    format!("{millis:>8.2}")
}
