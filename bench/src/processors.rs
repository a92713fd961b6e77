//! Which processor runs what.
//!
//! Left to itself, the kernel likes to wake a function on the processor that the simulated AWS answers from. Both then take turns, and AWS's
//! work is measured as the function's. So the simulated AWS has the first processor, and what is measured has the last one to itself.

use crate::Result;

/// The processors of this machine that this process may use.
pub(crate) struct Processors {
    first: usize,
    last: usize,
}

impl Processors {
    /// Moves this thread, and the simulated AWS that it runs, to the first processor.
    pub(crate) fn divide() -> Result<Self> {
        let allowed = system::allowed()?;
        let (Some(&first), Some(&last)) = (allowed.first(), allowed.last()) else {
            return Err("there is no processor to run on".into());
        };
        system::run_on(first)?;
        Ok(Self { first, last })
    }

    /// Starts a process on the last processor: a process stays where the thread was that started it.
    pub(crate) async fn start_apart<P, E>(&self, start: impl Future<Output = std::result::Result<P, E>>) -> Result<P>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        system::run_on(self.last)?;
        let process = start.await;
        system::run_on(self.first)?;
        process.map_err(Into::into)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    use crate::Result;

    const THIS_THREAD: Pid = Pid::from_raw(0);

    pub(super) fn allowed() -> Result<Vec<usize>> {
        let allowed = sched_getaffinity(THIS_THREAD)?;
        Ok((0..CpuSet::count()).filter(|&processor| allowed.is_set(processor).unwrap_or(false)).collect())
    }

    pub(super) fn run_on(processor: usize) -> Result<()> {
        let mut only = CpuSet::new();
        only.set(processor)?;
        Ok(sched_setaffinity(THIS_THREAD, &only)?)
    }
}

/// Other systems decide for themselves.
#[cfg(not(target_os = "linux"))]
mod system {
    use crate::Result;

    pub(super) fn allowed() -> Result<Vec<usize>> {
        Ok(vec![0])
    }

    pub(super) fn run_on(_processor: usize) -> Result<()> {
        Ok(())
    }
}
