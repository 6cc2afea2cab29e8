//! What the process says of itself: log lines through a buffer that no request waits for, and metrics in the form
//! that Prometheus reads.

mod format;
mod lines;

use std::io;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, LogSettings};
use format::{JsonLine, TextLine};
use lines::{Flusher, Lines};

/// The telemetry of a process. Dropping it writes out the lines that are still in the buffer, so it belongs at the
/// end of `main`.
pub struct Telemetry {
    metrics: Metrics,
    _flusher: Flusher,
}

impl Telemetry {
    /// Installs the log and the metrics of this process, once: JSON lines go to standard output, text for people to
    /// standard error, where it does not mix with what a command prints.
    ///
    /// # Errors
    /// [`TelemetryError`] if there is a log or a recorder already.
    pub fn install(log: &LogSettings) -> Result<Self, TelemetryError> {
        let (lines, flusher) = match log.format {
            LogFormat::Json => Lines::to(io::stdout())?,
            LogFormat::Text => Lines::to(io::stderr())?,
        };
        tracing_subscriber::registry()
            .with(log_layer(log, lines))
            .try_init()?;
        let metrics = Metrics::install()?;
        Ok(Self {
            metrics,
            _flusher: flusher,
        })
    }

    /// The metrics, for `/metrics` and for [`Metrics::keep_up`].
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }
}

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder that all metrics of the process go to. Metrics that were used before stay unrecorded.
    ///
    /// # Errors
    /// [`TelemetryError::Metrics`] if there is one already.
    pub fn install() -> Result<Self, TelemetryError> {
        Ok(Self(recorder()?.install_recorder()?))
    }

    /// All metrics in Prometheus's text form, whose media type is [`METRICS_MEDIA_TYPE`].
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Sorts what histograms have collected into their buckets, for ever: between two readings of `/metrics` their
    /// memory would grow with every request. To be spawned once.
    pub async fn keep_up(self) {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            self.0.run_upkeep();
        }
    }
}

/// Telemetry cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// There is a log already.
    #[error("the log cannot be set up: {0}")]
    Log(#[from] TryInitError),
    /// There is a recorder already.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] BuildError),
    /// The system gives no thread.
    #[error("the log's thread cannot be started: {0}")]
    Thread(#[from] io::Error),
}

fn log_layer<S>(log: &LogSettings, lines: Lines) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let format = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(lines);
    let format = match log.format {
        LogFormat::Json => format.event_format(JsonLine).boxed(),
        LogFormat::Text => format.event_format(TextLine).boxed(),
    };
    format.with_filter(log.level.0.clone())
}

fn recorder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
}

/// The media type of [`Metrics::render`].
pub const METRICS_MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const UPKEEP_INTERVAL: Duration = Duration::from_secs(2);
/// Upper bounds of the buckets of every duration: from a decision in memory to a long poll.
const SECONDS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_line_for_machines_is_one_flat_object() {
        let text = logged(LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{text}");
        let mut line = line;
        line["timestamp"] = "now".into();
        let expected = serde_json::json!({
            "timestamp": "now", "level": "WARN", "target": "factord::test", "message": ODD,
            "count": 7, "below": -3, "right": true, "name": ODD, "shown": ODD,
        });
        assert_eq!(line, expected);
        assert_eq!(
            text.lines().count(),
            1,
            "what the level leaves out is not there"
        );
    }

    #[test]
    fn a_line_for_people_reads_as_text() {
        let text = logged(LogFormat::Text);
        let end = "WARN factord::test: a \"b\"\u{fffd}\\ c count=7 below=-3 right=true name=\"a \\\"b\\\"\\n\\\\ c\" \
                   shown=a \"b\"\u{fffd}\\ c\n";
        assert!(text.ends_with(end), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    fn logged(format: LogFormat) -> String {
        let output = Output::default();
        let (lines, flusher) = Lines::to(output.clone()).unwrap();
        let log = LogSettings {
            format,
            ..LogSettings::default()
        };
        let subscriber = tracing_subscriber::registry().with(log_layer(&log, lines));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(
                target: "factord::test",
                count = 7_u64, below = -3_i64, right = true, name = ODD, shown = %ODD, nothing = None::<u64>, "{ODD}"
            );
            tracing::debug!(target: "factord::test", "unsaid");
        });
        drop(flusher);
        let bytes = output.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// Text that would not stay within one line, or one string, as it is.
    const ODD: &str = "a \"b\"\n\\ c";

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn durations_come_in_buckets() {
        let recorder = recorder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("factord_test_seconds").record(Duration::from_millis(2));
        });
        let text = Metrics(handle).render();
        assert!(
            text.contains(r#"factord_test_seconds_bucket{le="0.001"} 0"#),
            "{text}"
        );
        assert!(
            text.contains(r#"factord_test_seconds_bucket{le="0.0025"} 1"#),
            "{text}"
        );
    }
}
