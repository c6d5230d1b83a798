//! What can go wrong, one variant for each thing that a caller does differently.

use core::ffi::{CStr, c_int};
use core::fmt;

/// An error number of DPDK's or the system's, with its text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(c_int);

impl Errno {
    /// EEXIST.
    pub(crate) const EXISTS: Self = Self(17);
    /// EPERM, and the -1 that many drivers answer whatever is wrong.
    const UNEXPLAINED: Self = Self(1);
    /// EFAULT: what `rte_dev_probe` answers when no bus understands the device string.
    pub(crate) const NO_BUS: Self = Self(14);
    /// EINVAL.
    pub(crate) const INVALID: Self = Self(22);
    /// ENOSPC.
    pub(crate) const NO_SPACE: Self = Self(28);
    /// ENOTSUP.
    pub(crate) const NOT_SUPPORTED: Self = Self(95);

    /// From what a DPDK function returned; DPDK answers `-errno`.
    pub(crate) const fn from_return(code: c_int) -> Self {
        Self(code.saturating_abs())
    }

    /// From the calling thread's `rte_errno`.
    pub(crate) fn last() -> Self {
        // SAFETY: reads a variable of the calling thread.
        Self(unsafe { dpdk_sys::weir_errno() })
    }

    /// The number, positive.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNEXPLAINED {
            return f.write_str("not permitted, or failed without a reason given (DPDK's log says more)");
        }
        // SAFETY: any number has a text, in a buffer of the calling thread that lasts until its next call.
        let text = unsafe { dpdk_sys::rte_strerror(self.0) };
        // SAFETY: the text ends with a NUL and nobody changes it before this function returns.
        let text = unsafe { CStr::from_ptr(text) };
        write!(f, "{}", text.to_string_lossy())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({}: {self})", self.0)
    }
}

/// Why DPDK could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A second start.
    #[error("DPDK's EAL was started before in this process; it can be started once")]
    EalStarted,

    /// The EAL did not start.
    #[error("DPDK's EAL does not start: {errno}; it was given `{arguments}`; its own log says more")]
    EalInit {
        /// What the EAL gave as its reason.
        errno: Errno,
        /// Its command line.
        arguments: String,
    },

    /// The flag that marks oversize frames is taken.
    #[error("DPDK gives out no mbuf flag for oversize frames: {0}")]
    MbufFlag(Errno),

    /// A name with a NUL in it, or too long for DPDK.
    #[error("`{0}` cannot be a name in DPDK: it has a NUL character or is too long")]
    Name(String),

    /// No mempool.
    #[error(
        "mempool {pool} of {frames} frames of {frame_len_max} bytes: {errno}; ask for fewer, or give the EAL more memory"
    )]
    Mempool {
        /// Its name.
        pool: String,
        /// Frames asked for.
        frames: u32,
        /// Bytes of each.
        frame_len_max: u16,
        /// What DPDK says.
        errno: Errno,
    },

    /// No hash table.
    #[error("hash table {name} of {entries} entries: {errno}; ask for fewer, or give the EAL more memory")]
    Hash {
        /// Its name.
        name: String,
        /// Entries asked for.
        entries: u32,
        /// What DPDK says.
        errno: Errno,
    },

    /// The device string is of no kind that DPDK knows.
    #[error(
        "device `{0}`: DPDK has no driver of this name; a device is a PCI address (0000:03:00.0) or a driver's name, \
         any suffix and arguments (net_af_packet0,iface=eth1)"
    )]
    NoDriver(String),

    /// There is no such device, or it does not start, or its arguments are wrong.
    #[error(
        "device `{device}` cannot be opened: {errno}; check the driver's name, its arguments and the interface or file that they name"
    )]
    Probe {
        /// The device string as given.
        device: String,
        /// What the driver says.
        errno: Errno,
    },

    /// A driver took it but made no port of it.
    #[error("device `{0}` is no network port")]
    NotAPort(String),

    /// Another port of this process has it.
    #[error(
        "device `{0}` is in use by another port of this process; virtual devices need different names (net_pcap0, net_pcap1, …)"
    )]
    DeviceInUse(String),

    /// The device cannot do this MTU.
    #[error("port {port}: MTU {mtu} is outside of what `{device}` can do ({min} to {max})")]
    Mtu {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
        /// The MTU asked for, in bytes.
        mtu: u16,
        /// The least the device can do.
        min: u16,
        /// The most the device can do.
        max: u16,
    },

    /// A frame of the port's MTU does not fit a buffer of the mempool.
    #[error(
        "port {port}: frames of MTU {mtu} have up to {frame_len_max} bytes, buffers of mempool {pool} only {room}; make the buffers larger"
    )]
    BufferTooSmall {
        /// The port's name.
        port: String,
        /// Its MTU, in bytes.
        mtu: u16,
        /// A frame's length at that MTU.
        frame_len_max: u32,
        /// The mempool's name.
        pool: String,
        /// What a buffer has room for.
        room: u16,
    },

    /// The device refuses a step of its configuration.
    #[error("port {port}: `{device}` refuses to {step}: {errno}")]
    Port {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
        /// The step, as a verb phrase.
        step: &'static str,
        /// What the driver says.
        errno: Errno,
    },

    /// The thread could not be bound to this core.
    #[error("a worker cannot be pinned to core {0}: this process may not use it")]
    Pin(usize),

    /// No lcore is left for another thread, or it has one.
    #[error("a thread cannot be registered with DPDK's EAL: {0}")]
    Register(Errno),
}
