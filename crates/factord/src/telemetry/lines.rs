//! Log lines on their way out: a request only copies its line into a buffer, and one thread writes what has gathered.
//! When nobody takes the lines the buffer fills, and further lines are dropped and counted: the service goes on.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Takes lines, each as one write.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

/// Writes what is left and ends the thread when it is dropped.
pub(super) struct Flusher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    /// Lines that a thread of their own writes to `output`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn to(output: impl Write + Send + 'static) -> io::Result<(Self, Flusher)> {
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("log".to_owned())
                .spawn(move || shared.write_to(output))?
        };
        Ok((
            Self(Arc::clone(&shared)),
            Flusher {
                shared,
                thread: Some(thread),
            },
        ))
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut pending = self.0.pending();
        if pending.bytes.len() + line.len() > MAX_PENDING_BYTES {
            drop(pending);
            metrics::counter!("factord_log_lines_dropped_total").increment(1);
            return Ok(line.len());
        }
        let first = pending.bytes.is_empty();
        pending.bytes.extend_from_slice(line);
        drop(pending);
        if first {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.shared.pending().ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _: Result<_, _> = thread.join();
        }
    }
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    ended: bool,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        loop {
            let waiting = |pending: &mut Pending| pending.bytes.is_empty() && !pending.ended;
            let pending = self.changed.wait_while(self.pending(), waiting);
            let mut pending = pending.unwrap_or_else(PoisonError::into_inner);
            if pending.bytes.is_empty() {
                return;
            }
            if !pending.ended {
                // Under load more lines come at once: they share one write.
                drop(pending);
                std::thread::sleep(GATHER);
                pending = self.pending();
            }
            std::mem::swap(&mut pending.bytes, &mut batch);
            drop(pending);
            // There is nowhere left to say that the log cannot be written.
            let _: io::Result<()> = output.write_all(&batch).and_then(|()| output.flush());
            batch.clear();
        }
    }
}

const MAX_PENDING_BYTES: usize = 4 * 1024 * 1024;
const GATHER: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn every_line_is_out_when_the_flusher_is_dropped() {
        let output = Output::default();
        let (lines, flusher) = Lines::to(output.clone()).unwrap();
        let mut expected = String::new();
        for number in 0..1000 {
            let line = format!("line {number}\n");
            lines.clone().write_all(line.as_bytes()).unwrap();
            expected.push_str(&line);
        }
        drop(flusher);
        assert_eq!(
            String::from_utf8(output.0.lock().unwrap().clone()).unwrap(),
            expected
        );
    }

    #[test]
    fn a_log_that_nobody_takes_holds_nobody_up() {
        let (go_on, stuck) = mpsc::channel();
        let (mut lines, flusher) = Lines::to(Stuck(stuck)).unwrap();
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..20 {
            lines.write_all(&line).unwrap();
        }
        assert!(lines.0.pending().bytes.len() <= MAX_PENDING_BYTES);
        drop(go_on);
        drop(flusher);
    }

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

    /// An output that takes nothing until its channel is closed.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _: Result<_, _> = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
