//! Threads of the data plane: Rust's own, pinned to a core and known to the EAL.
//!
//! A thread that the EAL does not know has no cache in any mempool and goes to the shared ring for each frame.

use crate::eal::Eal;
use crate::error::{Errno, Error};
use core::cell::Cell;
use core::marker::PhantomData;
use core_affinity::CoreId;

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// The thread that started the EAL has an lcore from the start.
pub(crate) fn main_is_registered() {
    REGISTERED.set(true);
}

/// The calling thread's place in the EAL, given back when this is dropped. Stays on its thread.
#[derive(Debug)]
#[must_use = "the thread is registered as long as this lives"]
pub struct Registration {
    thread: PhantomData<*const ()>,
}

impl Eal {
    /// Pins the calling thread to `core`, if one is given, and makes it known to the EAL.
    ///
    /// # Errors
    /// [`Error::Pin`] when the process may not use the core; [`Error::Register`] when the thread is known
    /// already, or when all lcores (128 in most builds of DPDK) are taken.
    pub fn pin_and_register(&self, core: Option<usize>) -> Result<Registration, Error> {
        if REGISTERED.get() {
            return Err(Error::Register(Errno::EXISTS));
        }
        if let Some(id) = core
            && !core_affinity::set_for_current(CoreId { id })
        {
            return Err(Error::Pin(id));
        }
        // SAFETY: the EAL runs, as `self` proves, and REGISTERED says that this thread is new to it.
        if unsafe { dpdk_sys::rte_thread_register() } != 0 {
            return Err(Error::Register(Errno::last()));
        }
        REGISTERED.set(true);
        Ok(Registration { thread: PhantomData })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: this thread registered itself, and this value cannot leave it.
        unsafe { dpdk_sys::rte_thread_unregister() };
        REGISTERED.set(false);
    }
}
