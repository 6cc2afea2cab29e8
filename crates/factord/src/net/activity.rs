//! What a connection is doing and since when, so that one timer a connection can tell a slow client from a busy
//! server. hyper's own header timer would be made anew for every request; this is one atomic store instead.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What a connection is doing, as far as its patience is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Accepted; nothing of a request has come yet (the TLS handshake is part of this).
    Opened,
    /// A part of a request's head has come.
    Head,
    /// The handler waits for the rest of the body.
    Body,
    /// The handler works; how long it may is its own affair.
    Handling,
    /// The answer is under way or taken; the next request has not begun.
    Idle,
}

impl Phase {
    /// The phase's name as the label of a metric.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Head => "head",
            Self::Body => "body",
            Self::Handling => "handling",
            Self::Idle => "idle",
        }
    }
}

/// The phase of one connection and when it began. Shared by the parts of one task, so nothing is contended.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Milliseconds since `opened` in the upper bits, the phase in the lowest three.
    state: AtomicU64,
}

impl Activity {
    /// A connection that was just accepted.
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            state: AtomicU64::new(0),
        }
    }

    /// Begins `phase` now.
    pub(super) fn enter(&self, phase: Phase) {
        let millis =
            u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX >> PHASE_BITS);
        self.state
            .store(millis << PHASE_BITS | phase as u64, Ordering::Relaxed);
    }

    /// The phase, and how long it has lasted.
    pub(super) fn now(&self) -> (Phase, Duration) {
        let state = self.state.load(Ordering::Relaxed);
        let began = Duration::from_millis(state >> PHASE_BITS);
        (phase_of(state), self.opened.elapsed().saturating_sub(began))
    }

    fn phase(&self) -> Phase {
        phase_of(self.state.load(Ordering::Relaxed))
    }

    /// Something was read: the first bytes of a request begin its head. A new connection keeps its first moment, so
    /// that waiting before the first byte does not double its time.
    fn read(&self) {
        match self.phase() {
            Phase::Opened => {
                let state = self.state.load(Ordering::Relaxed);
                self.state
                    .store(state | Phase::Head as u64, Ordering::Relaxed);
            }
            Phase::Idle => self.enter(Phase::Head),
            Phase::Head | Phase::Body | Phase::Handling => {}
        }
    }

    /// Something was written: a client that goes on taking its answer is not idle.
    fn wrote(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Idle);
        }
    }
}

fn phase_of(state: u64) -> Phase {
    [
        Phase::Opened,
        Phase::Head,
        Phase::Body,
        Phase::Handling,
        Phase::Idle,
    ]
    .into_iter()
    .find(|phase| *phase as u64 == state & PHASE_MASK)
    .unwrap_or(Phase::Opened)
}

/// A stream that tells its connection's [`Activity`] of every read and write.
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    /// Watches `stream`.
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.activity.wrote();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A request's body that tells its connection's [`Activity`] when the handler waits for it.
pub(super) struct WatchedBody {
    body: Incoming,
    activity: Arc<Activity>,
}

impl WatchedBody {
    /// Watches `body`.
    pub(super) fn new(body: Incoming, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }
}

impl Body for WatchedBody {
    type Data = <Incoming as Body>::Data;
    type Error = <Incoming as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match (&frame, self.activity.phase()) {
            (Poll::Pending, Phase::Handling) => self.activity.enter(Phase::Body),
            (Poll::Ready(None), Phase::Body) => self.activity.enter(Phase::Handling),
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if self.activity.phase() == Phase::Body {
            self.activity.enter(Phase::Handling);
        }
    }
}

const PHASE_BITS: u32 = 3;
const PHASE_MASK: u64 = 0b111;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_lasts_from_when_it_was_entered() {
        let activity = opened_long_ago();
        let (phase, lasted) = activity.now();
        assert_eq!(phase, Phase::Opened);
        assert!(lasted >= LONG);
        activity.enter(Phase::Handling);
        let (phase, lasted) = activity.now();
        assert_eq!(phase, Phase::Handling);
        assert!(lasted < LONG);
    }

    #[test]
    fn the_first_byte_of_a_new_connection_does_not_restart_its_time() {
        let activity = opened_long_ago();
        activity.read();
        let (phase, lasted) = activity.now();
        assert_eq!(phase, Phase::Head);
        assert!(lasted >= LONG);
    }

    #[test]
    fn a_client_that_goes_on_reading_its_answer_is_not_idle() {
        let activity = opened_long_ago();
        activity.state.store(Phase::Idle as u64, Ordering::Relaxed);
        assert!(activity.now().1 >= LONG);
        activity.wrote();
        let (phase, lasted) = activity.now();
        assert_eq!(phase, Phase::Idle);
        assert!(lasted < LONG);
    }

    fn opened_long_ago() -> Activity {
        let activity = Activity::new();
        Activity {
            opened: activity.opened.checked_sub(LONG).unwrap(),
            ..activity
        }
    }

    const LONG: Duration = Duration::from_hours(1);
}
