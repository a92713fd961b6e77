//! A gate at which calls wait until a test lets them go on: the test chooses who is answered next.
//!
//! Each call through [`Simulation::serve`](crate::Simulation::serve) waits twice: before it takes effect, and before its answer is delivered.
//! A test under tokio's paused time drives the gate beside its actors:
//!
//! ```
//! # use std::time::Duration;
//! # use simulator::gate::Gate;
//! async fn drive(gate: &Gate, mut choose: impl FnMut(usize) -> usize) {
//!     loop {
//!         tokio::time::sleep(Duration::from_millis(1)).await;
//!         let waiting = gate.waiting();
//!         if waiting > 0 {
//!             gate.open(choose(waiting) % waiting);
//!         }
//!     }
//! }
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A gate. Its clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    disabled: bool,
    arrived: u64,
    /// Those that wait, in order of arrival.
    turns: Vec<(u64, oneshot::Sender<()>)>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many calls wait. The oldest one has the index 0. A call that was dropped does not wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue().turns.len()
    }

    /// Lets the call at this place of the queue go on. If no call waits there, nothing happens.
    pub fn open(&self, index: usize) {
        let mut queue = self.queue();
        if index < queue.turns.len() {
            // A call that is dropped at this moment needs no turn.
            let _ = queue.turns.remove(index).1.send(());
        }
    }

    /// Lets everything pass, now and from now on.
    pub fn disable(&self) {
        let mut queue = self.queue();
        queue.disabled = true;
        for (_, turn) in queue.turns.drain(..) {
            // As above.
            let _ = turn.send(());
        }
    }

    /// Waits until the gate is opened for this call. A call that is dropped meanwhile leaves the queue.
    pub(crate) async fn pass(&self) {
        let (turn, opened) = oneshot::channel();
        let _place = {
            let mut queue = self.queue();
            if queue.disabled {
                return;
            }
            queue.arrived += 1;
            let number = queue.arrived;
            queue.turns.push((number, turn));
            Place { gate: self, number }
        };
        let _ = opened.await;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, which is given up when it is dropped.
struct Place<'a> {
    gate: &'a Gate,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.queue().turns.retain(|(number, _)| *number != self.number);
    }
}
