//! The processes that are measured: started on loopback with an empty folder, and looked at through /proc.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Process {
    /// Starts `factord dev` on a folder.
    ///
    /// # Errors
    /// If it cannot be started, or does not say where it listens.
    pub fn factord(binary: &Path, folder: &Path, database: Option<&str>) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(["dev", "--listen", "127.0.0.1:0", "--client-id", CLIENT_ID])
            .args(["--client-secret", CLIENT_SECRET, "--data"])
            .arg(folder);
        if let Some(database) = database {
            command.args(["--database", database]);
        }
        Self::start(command, "base URL")
    }

    /// Starts the baseline: this very program.
    ///
    /// # Errors
    /// As above.
    pub fn baseline() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("baseline");
        Self::start(command, "base URL")
    }

    /// Starts `factord dev` once more, and gives the time from the fork to the first answer of `/readyz`; then ends it.
    ///
    /// # Errors
    /// As above, or if it is not ready.
    pub fn time_start(
        binary: &Path,
        folder: &Path,
        database: Option<&str>,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let process = Self::factord(binary, folder, database)?;
        let mut stream = TcpStream::connect(process.address)?;
        write!(
            stream,
            "GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            process.address
        )?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        let took = began.elapsed();
        anyhow::ensure!(head.ends_with(b" 200"), "the server is not ready");
        drop(stream);
        process.stop()?;
        Ok(took)
    }

    /// What it logs goes nowhere: whoever takes the lines is not measured, making them is.
    fn start(mut command: Command, label: &str) -> anyhow::Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        let said = child.stdout.take().context("no standard output")?;
        let found = BufReader::new(said).lines().find_map(|line| {
            let line = line.ok()?;
            let url = line.trim().strip_prefix(label)?;
            url.trim().strip_prefix("http://")?.parse().ok()
        });
        let mut process = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        process.address = found.context("the server has ended without saying where it listens")?;
        Ok(process)
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// If it cannot be told, or ends with an error.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    /// User and system time so far, in seconds (proc(5), stat, fields 14 and 15; a tick is 10 ms on every Linux).
    ///
    /// # Errors
    /// If the process has ended.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = self.read("stat")?;
        let (_, fields) = stat.rsplit_once(')').context("an odd /proc/PID/stat")?;
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
        let (user, system) = ticks
            .next()
            .zip(ticks.next())
            .context("an odd /proc/PID/stat")?;
        Ok((user? + system?) / 100.0)
    }

    /// The most memory that it has had resident so far, in MiB.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn peak_memory_mib(&self) -> anyhow::Result<f64> {
        let status = self.read("status")?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("an odd /proc/PID/status")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    fn read(&self, file: &str) -> anyhow::Result<String> {
        let path = PathBuf::from(format!("/proc/{}/{file}", self.child.id()));
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<_> = self.child.wait();
    }
}

/// The credential that every measured server is given.
pub const CLIENT_ID: &str = "bench";
/// Its secret: the servers listen on loopback for as long as they are measured.
pub const CLIENT_SECRET: &str = "only-for-measuring-0123456789";
