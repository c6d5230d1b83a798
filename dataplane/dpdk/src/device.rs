//! A device that a driver has taken, before it is a port.

use crate::eal::Eal;
use crate::error::{Errno, Error};
use core::ffi::{CStr, c_char};
use std::ffi::CString;

/// A device of this process; closed and given back when dropped.
#[derive(Debug)]
pub struct Device {
    name: String,
    /// DPDK's number for it.
    pub(crate) number: u16,
}

impl Eal {
    /// Opens a device by DPDK's device string: a PCI address (`0000:03:00.0`) that
    /// [`EalOptions::pci_devices`](crate::EalOptions::pci_devices) names, or a virtual device with its arguments
    /// (`net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap`, `net_af_packet0,iface=veth0,qpairs=2`). The driver's name
    /// is followed by any text that makes the device's own name unique in this process.
    ///
    /// # Errors
    /// [`Error::NoDriver`] and [`Error::Probe`] when there is no such driver or device, or it fails to start; [`Error::DeviceInUse`] when
    /// this process has a device of this name.
    pub fn probe(&self, device: &str) -> Result<Device, Error> {
        let c_device = CString::new(device).map_err(|_| Error::Name(device.to_owned()))?;
        // SAFETY: the EAL runs; the string outlasts the call and DPDK copies it.
        let result = unsafe { dpdk_sys::rte_dev_probe(c_device.as_ptr()) };
        let errno = Errno::from_return(result);
        match errno {
            _ if result >= 0 => {}
            // A PCI device has been probed when the EAL started.
            Errno::EXISTS => {}
            Errno::NO_BUS => return Err(Error::NoDriver(device.to_owned())),
            errno => return Err(Error::Probe { device: device.to_owned(), errno }),
        }
        let name = ethdev_name(device);
        let c_name = CString::new(name.as_str()).map_err(|_| Error::Name(name.clone()))?;
        let mut number = 0;
        // SAFETY: the name ends with a NUL and `number` is written to; both outlast the call.
        if unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &raw mut number) } != 0 {
            return Err(Error::NotAPort(name));
        }
        claim(number).map_err(|_| Error::DeviceInUse(name.clone()))?;
        Ok(Device { name, number })
    }
}

impl Device {
    /// DPDK's name for it: the device string up to the first comma.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its driver's name.
    pub(crate) fn driver(&self, info: &dpdk_sys::rte_eth_dev_info) -> String {
        if info.driver_name.is_null() {
            return String::new();
        }
        // SAFETY: the driver's own name, which ends with a NUL and lives as long as the driver is loaded.
        let driver = unsafe { CStr::from_ptr(info.driver_name) };
        driver.to_string_lossy().into_owned()
    }

    /// What it can do.
    pub(crate) fn info(&self) -> Result<dpdk_sys::rte_eth_dev_info, Errno> {
        let mut info = dpdk_sys::rte_eth_dev_info::default();
        // SAFETY: `info` is written to and outlasts the call.
        match unsafe { dpdk_sys::rte_eth_dev_info_get(self.number, &raw mut info) } {
            0 => Ok(info),
            code => Err(Errno::from_return(code)),
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let device = self.info().map(|info| info.device);
        // SAFETY: nobody else uses the device: its queues hold it and are gone. It may be stopped already.
        let _ = unsafe { dpdk_sys::rte_eth_dev_stop(self.number) };
        // SAFETY: as above; stopped.
        let _ = unsafe { dpdk_sys::rte_eth_dev_close(self.number) };
        if let Ok(device) = device
            && !device.is_null()
        {
            // SAFETY: the bus's entry for the closed device; this process alone can remove it and does so once.
            let _ = unsafe { dpdk_sys::rte_dev_remove(device) };
        }
    }
}

/// The name that DPDK gives the port of a device string.
fn ethdev_name(device: &str) -> String {
    let name = device.split(',').next().unwrap_or(device);
    // PCI addresses may leave out the domain, names do not.
    let short_pci = name.len() == 7 && name.as_bytes()[2] == b':' && name.as_bytes()[5] == b'.';
    if short_pci { format!("0000:{name}") } else { name.to_owned() }
}

/// Makes this process's new owner the device's; fails when it has one.
fn claim(number: u16) -> Result<(), Errno> {
    let mut owner = dpdk_sys::rte_eth_dev_owner::default();
    for (to, from) in owner.name.iter_mut().zip(c"weir".to_bytes()) {
        *to = *from as c_char;
    }
    // SAFETY: writes the new number into `owner`.
    match unsafe { dpdk_sys::rte_eth_dev_owner_new(&raw mut owner.id) } {
        0 => {}
        code => return Err(Errno::from_return(code)),
    }
    // SAFETY: DPDK copies `owner`, whose name ends with a NUL.
    match unsafe { dpdk_sys::rte_eth_dev_owner_set(number, &raw const owner) } {
        0 => Ok(()),
        code => Err(Errno::from_return(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_named_after_its_device() {
        assert_eq!(ethdev_name("net_pcap0,rx_pcap=a.pcap"), "net_pcap0");
        assert_eq!(ethdev_name("0000:03:00.0"), "0000:03:00.0");
        assert_eq!(ethdev_name("03:00.0"), "0000:03:00.0");
    }
}
