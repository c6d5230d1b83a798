//! DPDK's environment: started once a process, and there until it ends.
//!
//! - The EAL pins the thread that starts it, and threads inherit a pin. So its main lcore is given every core
//!   that the process may use: neither the caller nor what it starts is bound to a core by it.
//! - Drivers are shared objects that the EAL loads from DPDK's driver directory when it starts.
//! - Nothing is shared with other processes: no files, no telemetry socket; several gateways run side by side.
//! - It is not ended before the process: frames and pools may outlive every handle to them.

use crate::error::{Errno, Error};
use core::ffi::{CStr, c_char};
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where DPDK's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Ordinary pages: `mb` MiB, fixed. Any machine has them; devices with DMA cannot use them without an IOMMU.
    NoHuge {
        /// In MiB.
        mb: u32,
    },
    /// Huge pages: `mb` MiB at start, more when needed. The system must have reserved them.
    Huge {
        /// In MiB.
        mb: u32,
    },
}

/// How much the EAL and the drivers log to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what fails.
    Error,
    /// And what is suspicious.
    #[default]
    Warning,
    /// And what is worth knowing.
    Notice,
    /// And what happens.
    Info,
    /// And everything else.
    Debug,
}

impl LogLevel {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// How to start the EAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EalOptions {
    /// Where memory comes from, and how much.
    pub memory: Memory,
    /// The PCI devices that this process may open (`0000:03:00.0`, with the driver's arguments if it needs any).
    /// None: the PCI bus is left alone. Virtual devices need no mention.
    pub pci_devices: Vec<String>,
    /// Names the directory under DPDK's run-time directory that the EAL makes. Nothing is written into it, so
    /// processes may share it.
    pub file_prefix: String,
    /// What is logged.
    pub log_level: LogLevel,
}

impl Default for EalOptions {
    fn default() -> Self {
        Self {
            memory: Memory::NoHuge { mb: 512 },
            pci_devices: Vec::new(),
            file_prefix: "weir".to_owned(),
            log_level: LogLevel::default(),
        }
    }
}

impl EalOptions {
    /// The EAL's command line. DPDK 22.11 refuses `--in-memory` with `--no-huge`; `--no-shconf` does for it.
    fn arguments(&self, cores: &[usize]) -> Vec<String> {
        let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
        let mut arguments = vec!["weir".to_owned(), format!("--lcores=0@({})", cores.join(","))];
        match self.memory {
            Memory::NoHuge { mb } => {
                arguments.extend([
                    "--no-huge".to_owned(),
                    "--no-shconf".to_owned(),
                    "-m".to_owned(),
                    mb.to_string(),
                ]);
            }
            Memory::Huge { mb } => {
                arguments.extend(["--in-memory".to_owned(), "-m".to_owned(), mb.to_string()])
            }
        }
        if self.pci_devices.is_empty() {
            arguments.push("--no-pci".to_owned());
        }
        arguments.extend(self.pci_devices.iter().map(|device| format!("--allow={device}")));
        arguments.push("--no-telemetry".to_owned());
        arguments.push(format!("--file-prefix={}", self.file_prefix));
        arguments.push(format!("--log-level={}", self.log_level.name()));
        arguments
    }
}

/// Proof that the EAL runs; whatever needs it asks for one. It runs until the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Eal {
    rx_timestamp: RxTimestamp,
}

/// Where a driver leaves the time that a frame arrived at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RxTimestamp {
    /// In the mbuf, in bytes.
    pub(crate) offset: usize,
    /// Set in `ol_flags` where there is one.
    pub(crate) flag: u64,
}

/// Set in `ol_flags` of frames longer than their port allows, by [`RxQueue`](crate::RxQueue). The last of the
/// flags that DPDK leaves to applications: drivers that ask for any free one get the first.
pub(crate) const OVERSIZE: u64 = dpdk_sys::WEIR_MBUF_LAST_FREE;

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Starts the EAL.
    ///
    /// # Errors
    /// [`Error::EalStarted`] from the second call on, even when the first one failed: DPDK cannot be started
    /// twice. [`Error::EalInit`] when DPDK refuses, mostly for want of memory or rights.
    pub fn init(options: &EalOptions) -> Result<Self, Error> {
        let cores = usable_cores();
        let arguments = options.arguments(&cores);
        let mut argv = Vec::with_capacity(arguments.len() + 1);
        for argument in &arguments {
            let argument = CString::new(argument.as_str()).map_err(|_| Error::Name(argument.clone()))?;
            argv.push(argument);
        }
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(Error::EalStarted);
        }
        // DPDK may keep pointers to its arguments: they are never freed.
        let mut argv: Vec<*mut c_char> = argv.into_iter().map(CString::into_raw).collect();
        let argc = i32::try_from(argv.len()).unwrap_or(i32::MAX);
        argv.push(core::ptr::null_mut());
        // SAFETY: `argv` has `argc` strings and a null; called once, as STARTED says.
        let result = unsafe { dpdk_sys::rte_eal_init(argc, argv.as_mut_ptr()) };
        if result < 0 {
            return Err(Error::EalInit { errno: Errno::last(), arguments: arguments.join(" ") });
        }
        crate::thread::main_is_registered();
        reserve_oversize_flag()?;
        Ok(Self { rx_timestamp: RxTimestamp::register()? })
    }

    /// DPDK's version, as `DPDK 22.11.11`. Needs no EAL.
    pub fn version() -> String {
        // SAFETY: takes nothing and answers a string constant.
        let version = unsafe { dpdk_sys::rte_version() };
        // SAFETY: a constant that ends with a NUL.
        let version = unsafe { CStr::from_ptr(version) };
        version.to_string_lossy().into_owned()
    }

    pub(crate) const fn rx_timestamp(self) -> RxTimestamp {
        self.rx_timestamp
    }
}

/// Cores that this process may run on and that the EAL can count.
fn usable_cores() -> Vec<usize> {
    let lcores_max = dpdk_sys::RTE_MAX_LCORE as usize;
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let cores: Vec<usize> = cores.iter().map(|core| core.id).filter(|&id| id < lcores_max).collect();
    if cores.is_empty() { vec![0] } else { cores }
}

fn reserve_oversize_flag() -> Result<(), Error> {
    let mut flag = dpdk_sys::rte_mbuf_dynflag::default();
    for (to, from) in flag.name.iter_mut().zip(c"weir_oversize".to_bytes()) {
        *to = *from as c_char;
    }
    // SAFETY: the flag's name is NUL-terminated and DPDK copies it; the EAL runs.
    match unsafe { dpdk_sys::rte_mbuf_dynflag_register_bitnum(&raw const flag, OVERSIZE.trailing_zeros()) } {
        bit if bit >= 0 => Ok(()),
        _ => Err(Error::MbufFlag(Errno::last())),
    }
}

impl RxTimestamp {
    /// Asks for the field that drivers with timestamps use; all who ask get the same.
    fn register() -> Result<Self, Error> {
        let (mut offset, mut flag) = (0, 0);
        // SAFETY: both point to variables that outlast the call; the EAL runs.
        let result = unsafe { dpdk_sys::rte_mbuf_dyn_rx_timestamp_register(&raw mut offset, &raw mut flag) };
        match usize::try_from(offset) {
            Ok(offset) if result == 0 => Ok(Self { offset, flag }),
            _ => Err(Error::MbufFlag(Errno::last())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_memory_goes_without_in_memory() {
        let arguments = EalOptions::default().arguments(&[0, 3]).join(" ");
        assert_eq!(
            arguments,
            "weir --lcores=0@(0,3) --no-huge --no-shconf -m 512 --no-pci --no-telemetry --file-prefix=weir \
             --log-level=warning"
        );
    }

    #[test]
    fn only_named_pci_devices_are_touched() {
        let options = EalOptions {
            memory: Memory::Huge { mb: 64 },
            pci_devices: vec!["0000:03:00.0".to_owned(), "0000:03:00.1".to_owned()],
            ..EalOptions::default()
        };
        let arguments = options.arguments(&[0]).join(" ");
        assert!(
            arguments.contains("--in-memory -m 64 --allow=0000:03:00.0 --allow=0000:03:00.1"),
            "{arguments}"
        );
        assert!(!arguments.contains("--no-pci") && !arguments.contains("--no-huge"), "{arguments}");
    }
}
