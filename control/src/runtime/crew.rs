//! The workers' threads: started, watched, stopped.

use crate::config::{Idle, Placement, Workers};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc;
use weir_dpdk::Eal;

/// How a worker's thread ended.
#[derive(Debug)]
pub(super) struct End {
    /// Which worker.
    pub(super) worker: usize,
    /// Why, unless it was told to.
    pub(super) trouble: Option<String>,
}

/// The threads of all workers.
#[derive(Debug)]
pub(super) struct Crew {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    ends: mpsc::UnboundedReceiver<End>,
}

impl Crew {
    /// Starts one thread for each of `bodies`, on the processor beside it. A body returns once the flag that it
    /// is given says so.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub(super) fn start<F>(eal: Eal, bodies: Vec<(Option<usize>, F)>) -> std::io::Result<Self>
    where
        F: FnOnce(&AtomicBool) + Send + 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, ends) = mpsc::unbounded_channel();
        let mut crew = Self { threads: Vec::new(), stop: Arc::clone(&stop), ends };
        for (worker, (cpu, body)) in bodies.into_iter().enumerate() {
            let (stop, sender) = (Arc::clone(&stop), sender.clone());
            let thread = thread::Builder::new().name(format!("worker-{worker}")).spawn(move || {
                let trouble = work(eal, cpu, &stop, body).err();
                // Nobody listens any more when the gateway stops.
                let _ = sender.send(End { worker, trouble });
            })?;
            crew.threads.push(thread);
        }
        Ok(crew)
    }

    /// Waits for a worker that ends before it is told to.
    pub(super) async fn ended(&mut self) -> End {
        match self.ends.recv().await {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }

    /// Tells all workers to finish what is in their queues, and waits until they have. Answers what went wrong.
    pub(super) fn stop(mut self) -> Vec<End> {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // A panic is caught within the thread and reported as its end.
            let _ = thread.join();
        }
        let mut ends = Vec::new();
        while let Ok(end) = self.ends.try_recv() {
            ends.extend(end.trouble.is_some().then_some(end));
        }
        ends
    }
}

fn work(
    eal: Eal,
    cpu: Option<usize>,
    stop: &AtomicBool,
    body: impl FnOnce(&AtomicBool),
) -> Result<(), String> {
    let _registration = eal.pin_and_register(cpu).map_err(|error| error.to_string())?;
    catch_unwind(AssertUnwindSafe(|| body(stop))).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("it panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
    })
}

/// The processor of each worker. Workers that sleep when idle are the system's to place unless the
/// configuration names their cores; workers that never sleep must not share one, and the first is left to control.
pub(super) fn cpus(workers: &Workers) -> Vec<Option<usize>> {
    match workers.placement() {
        Placement::Cores(cores) => cores.iter().copied().map(Some).collect(),
        Placement::Anywhere(count) => {
            let count = usize::from(count.get());
            let usable = core_affinity::get_core_ids().unwrap_or_default();
            if workers.idle() == Idle::Backoff || usable.len() < count {
                return vec![None; count];
            }
            usable[usable.len() - count..].iter().map(|core| Some(core.id)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use weir_dpdk::EalOptions;

    /// The one test of this binary that starts DPDK, which a process can do once.
    #[test]
    fn a_panic_is_reported_and_the_other_workers_still_stop() {
        let eal = Eal::init(&EalOptions::default()).unwrap();
        let stopped = Arc::new(AtomicUsize::new(0));
        let body = |worker: usize| {
            let stopped = Arc::clone(&stopped);
            move |stop: &AtomicBool| {
                assert_ne!(worker, 1, "worker 1 breaks");
                while !stop.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                stopped.fetch_add(1, Ordering::Relaxed);
            }
        };
        let mut crew = Crew::start(eal, (0..3).map(|worker| (None, body(worker))).collect()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let end = runtime.block_on(crew.ended());
        assert_eq!(end.worker, 1);
        assert!(end.trouble.is_some_and(|trouble| trouble.contains("worker 1 breaks")));
        assert!(crew.stop().is_empty());
        assert_eq!(stopped.load(Ordering::Relaxed), 2);
    }
}
