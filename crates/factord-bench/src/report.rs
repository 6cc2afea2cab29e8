//! A line for each measurement.

use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

use crate::load::Measured;
use crate::scenario::Scenario;

/// Prints measurements as they come.
#[derive(Debug)]
pub struct Report {
    json: bool,
    pid: Option<u32>,
}

#[derive(Serialize)]
struct Line {
    scenario: String,
    connections: usize,
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    /// Processor seconds of the server for a thousand units of work.
    cpu_seconds_per_1000: Option<f64>,
    /// Resident memory of the server.
    memory_mib: Option<f64>,
}

impl Report {
    /// A report in the form that is wanted, with what the process `pid` uses.
    pub fn new(json: bool, pid: Option<u32>) -> Self {
        Self { json, pid }
    }

    /// Waits for a measurement and prints its line.
    pub async fn add(
        &mut self,
        scenario: Scenario,
        connections: usize,
        measured: impl Future<Output = anyhow::Result<Measured>>,
    ) -> anyhow::Result<()> {
        let before = self.pid.map(cpu_seconds).transpose()?;
        let measured = measured.await?;
        let after = self.pid.map(cpu_seconds).transpose()?;
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let count = measured.latency.len() as f64;
        let line = Line {
            scenario: format!("{scenario:?}").to_lowercase(),
            connections,
            per_second: count / measured.elapsed.as_secs_f64(),
            p50_us: measured.latency.value_at_quantile(0.5),
            p99_us: measured.latency.value_at_quantile(0.99),
            p999_us: measured.latency.value_at_quantile(0.999),
            // The tenth that warms up is in the processor's time, too.
            cpu_seconds_per_1000: after
                .zip(before)
                .map(|(after, before)| (after - before) / 1.1 / count * 1000.0),
            memory_mib: self.pid.map(memory_mib).transpose()?,
        };
        self.print(&line)
    }

    fn print(&self, line: &Line) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
            return Ok(());
        }
        write!(
            out,
            "{:8} connections={:<4} per_second={:<9.0} p50={} µs  p99={} µs  p99.9={} µs",
            line.scenario,
            line.connections,
            line.per_second,
            line.p50_us,
            line.p99_us,
            line.p999_us
        )?;
        if let Some((cpu, memory)) = line.cpu_seconds_per_1000.zip(line.memory_mib) {
            write!(out, "  cpu={cpu:.4} s/1000  memory={memory:.0} MiB")?;
        }
        writeln!(out)?;
        Ok(())
    }
}

/// User and system time of a process (proc(5), stat, fields 14 and 15; a tick is 10 ms on every Linux).
fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("an odd /proc/PID/stat")?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = ticks
        .next()
        .zip(ticks.next())
        .context("an odd /proc/PID/stat")?;
    Ok((user? + system?) / 100.0)
}

fn memory_mib(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("an odd /proc/PID/status")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
