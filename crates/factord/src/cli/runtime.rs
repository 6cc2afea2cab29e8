//! The runtime that a command runs in.

use tokio::runtime::{Builder, Runtime};

use super::Command;

/// Of a service, or of a command that soon ends.
///
/// # Errors
/// The system gives no threads or files.
pub(super) fn of(command: &Command) -> std::io::Result<Runtime> {
    let mut builder = match command {
        Command::Dev(_) | Command::Serve(_) => serving(),
        _ => Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

/// As many workers as there are processors. The store answers from a thread of its own: a worker would look for such answers
/// only now and then while requests keep coming, so that under overload those who were let in waited for those who are
/// turned away. So it looks every second time: each request that is let in brings one answer.
fn serving() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.global_queue_interval(2);
    builder
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};
    use std::task::Poll;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn answers_of_other_threads_do_not_wait_for_requests_that_keep_coming() {
        let runtime = serving().worker_threads(1).build().unwrap();
        let requests = Arc::new(AtomicUsize::default());
        for _ in 0..2 {
            let requests = Arc::clone(&requests);
            runtime.spawn(poll_fn(move |cx| {
                requests.fetch_add(1, Ordering::Relaxed);
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
        }
        let (answers, waiting): (Vec<_>, Vec<_>) = (0..100)
            .map(|_| {
                let (answer, answered) = oneshot::channel();
                let requests = Arc::clone(&requests);
                let waiting = runtime.spawn(async move {
                    answered.await.unwrap();
                    requests.load(Ordering::Relaxed)
                });
                (answer, waiting)
            })
            .unzip();
        // The worker comes to this when everybody waits, and goes on when everybody is answered.
        let (holding, held) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        runtime.spawn(async move {
            holding.send(()).unwrap();
            released.recv().ok();
        });
        held.recv().unwrap();
        let before = requests.load(Ordering::Relaxed);
        for answer in answers {
            answer.send(()).unwrap();
        }
        drop(release);
        for waiting in waiting {
            let after = runtime.block_on(waiting).unwrap();
            assert!(after - before <= 300, "{} came first", after - before);
        }
    }
}
