//! The core as it stands: replaced as a whole when the configuration is read again.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Core;

/// The one place that holds the current [`Core`]; its clones hold the same. Whoever decides takes it once, so that a
/// decision sees one core from beginning to end. Taking it never waits.
#[derive(Clone)]
pub struct Cores(Arc<ArcSwap<Core>>);

impl Cores {
    /// The core that stands now.
    pub fn current(&self) -> Arc<Core> {
        self.0.load_full()
    }

    /// Replaces the core for everything that is decided from now on.
    pub fn replace(&self, core: Core) {
        self.0.store(Arc::new(core));
    }
}

impl From<Core> for Cores {
    fn from(core: Core) -> Self {
        Arc::new(core).into()
    }
}

impl From<Arc<Core>> for Cores {
    fn from(core: Arc<Core>) -> Self {
        Self(Arc::new(ArcSwap::new(core)))
    }
}

impl fmt::Debug for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current().fmt(f)
    }
}
