//! Apps that wait for a push, and who tells them. Other processes on the same database are not heard: whoever waits looks
//! once a second besides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::mfa::ids::{DeviceNumber, UserId};

type App = (UserId, DeviceNumber);

/// The apps that wait, one request each.
#[derive(Default)]
pub struct Pushes {
    waiting: Mutex<HashMap<App, Arc<Notify>>>,
}

/// A request of an app that waits; a newer one of the same app takes its place.
pub struct WaitingApp {
    pushes: Arc<Pushes>,
    app: App,
    signal: Arc<Notify>,
}

impl Pushes {
    /// Begins to wait. What is announced from now on is heard.
    pub fn wait(self: &Arc<Self>, user: UserId, device: DeviceNumber) -> WaitingApp {
        let app = (user, device);
        let signal = Arc::<Notify>::default();
        if let Some(older) = self.lock().insert(app, Arc::clone(&signal)) {
            older.notify_one();
        }
        WaitingApp {
            pushes: Arc::clone(self),
            app,
            signal,
        }
    }

    /// Tells the app of a device that something is pending for it.
    pub fn announce(&self, user: UserId, device: DeviceNumber) {
        if let Some(signal) = self.lock().get(&(user, device)) {
            signal.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<App, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingApp {
    /// Waits for the next word; one that came before is not lost.
    pub async fn told(&self) {
        self.signal.notified().await;
    }

    /// Whether no newer request has taken its place.
    pub fn is_current(&self) -> bool {
        let waiting = self.pushes.lock();
        waiting
            .get(&self.app)
            .is_some_and(|signal| Arc::ptr_eq(signal, &self.signal))
    }
}

impl Drop for WaitingApp {
    fn drop(&mut self) {
        let mut waiting = self.pushes.lock();
        if let Some(signal) = waiting.get(&self.app)
            && Arc::ptr_eq(signal, &self.signal)
        {
            waiting.remove(&self.app);
        }
    }
}
