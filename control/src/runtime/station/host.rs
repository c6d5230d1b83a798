//! The station's part between the networks and the kernel: who takes what, and the kernel's routes beside the file's.

use super::{Station, Waiting, owns};
use crate::network::host::{self, FromKernel, Host};
use crate::network::kernel_routes::{self, KernelRoute};
use crate::network::neighbours::{self, At};
use crate::observe::TapStatus;
use crate::runtime::tap::Taps;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::error;
use weir_dataplane::config::Routing;
use weir_dataplane::config::route::{Interface, Route};
use weir_dataplane::port::Frame;
use weir_dataplane::port::mem::MemFrame;
use weir_dataplane::rewrite::vlan;
use weir_dataplane::steer::Router;
use weir_dataplane::steer::course::Arrival;
use weir_dataplane::units::PortId;
use weir_dataplane::wire::{EtherType, MacAddr, ethernet};

/// From one compilation of changed routes to the next, at least; and four times what the last one took.
const COMPILE_INTERVAL: Duration = Duration::from_millis(200);

/// The kernel's routes as they are now; none where they are not followed.
pub(crate) type KernelRoutes = watch::Receiver<Arc<[KernelRoute]>>;

/// The kernel beside the station.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) taps: Taps,
    /// Nothing before the gateway is [joined](Station::follow) to the kernel.
    routes: Option<KernelRoutes>,
    /// The kernel's routes that are in force, as they came.
    in_force: Arc<[KernelRoute]>,
    /// How many of the routes in force, the first ones, are the kernel's.
    pub(super) count: usize,
    compilation: Option<JoinHandle<Compiled>>,
    not_before: Instant,
}

/// What a compilation has made.
#[derive(Debug)]
struct Compiled {
    kernel: Arc<[KernelRoute]>,
    count: usize,
    routing: Routing,
    router: Router,
    took: Duration,
}

impl Kernel {
    pub(super) fn new(taps: Taps) -> Self {
        Self {
            taps,
            routes: None,
            in_force: Arc::from([]),
            count: 0,
            compilation: None,
            not_before: Instant::now(),
        }
    }

    /// Goes on by a configuration with these of its routes, which came to so many. Those that have changed since are
    /// compiled next.
    pub(super) fn reload(&mut self, in_force: Arc<[KernelRoute]>, count: usize) {
        // What is under way is about the configuration of before.
        self.compilation = None;
        (self.in_force, self.count) = (in_force, count);
        if let Some(routes) = &mut self.routes
            && !Arc::ptr_eq(&routes.borrow(), &self.in_force)
        {
            routes.mark_changed();
        }
    }
}

/// Puts the kernel's routes before those of the file: of two to one network the last holds. How many they are.
pub(super) fn prepend(kernel: &[KernelRoute], routing: &mut Routing) -> usize {
    let routes: Vec<Route> = kernel_routes::routes(kernel, &routing.interfaces);
    let count = routes.len();
    routing.routes.splice(..0, routes);
    count
}

impl Station {
    /// The kernel's routes that are in force.
    pub(in crate::runtime) fn kernel_routes(&self) -> Arc<[KernelRoute]> {
        Arc::clone(&self.kernel.in_force)
    }

    /// Follows the kernel's routes from now on.
    pub(in crate::runtime) fn follow(&mut self, routes: KernelRoutes) {
        self.kernel.routes = Some(routes);
    }

    /// The tap of a port.
    pub(in crate::runtime) fn tap(&self, port: PortId) -> Option<TapStatus> {
        self.kernel.taps.status(port)
    }

    /// Whether this node is the one that sees to a packet to the gateway itself. Where the kernel has no part in it, the
    /// worker knew.
    pub(super) fn is_mine(&self, packet: &[u8], arrival: Arrival) -> bool {
        let untracked = self.routing.interfaces.iter().any(Interface::has_host);
        let Some(interface) = self.routing.interfaces.get(arrival.interface.index()) else { return false };
        !untracked || self.host().hears(packet, interface)
    }

    /// Gives the kernel what came in by `port`; whether it has a tap there.
    pub(super) fn pass_up(&mut self, frame: &[u8], port: PortId, arrival: Arrival, now_ms: u64) -> bool {
        let Some(interface) = self.routing.interfaces.get(arrival.interface.index()) else { return false };
        if !interface.tapped {
            return false;
        }
        let mut frame = frame.to_vec();
        let goes_by = |mac: MacAddr| frame.starts_with(&mac.0);
        if goes_by(interface.mac) || interface.vips.iter().any(|vip| goes_by(vip.mac)) {
            host::address_to(&mut frame, interface.source_mac);
        }
        self.kernel.taps.give(port, &frame, now_ms);
        true
    }

    /// Sees to what the kernel sends.
    pub(super) fn serve_kernel(&mut self, now_ms: u64) {
        for (port, frame) in self.kernel.taps.take() {
            self.serve(port, frame, now_ms);
        }
    }

    fn serve(&mut self, port: PortId, mut frame: Vec<u8>, now_ms: u64) {
        let Some(arrival) = self.router.arrival(&frame, port) else {
            return self.kernel.taps.count(port, false);
        };
        let ethertype = frame.get(..arrival.ip_at).and_then(|header| header.last_chunk());
        let ethertype = EtherType(ethertype.copied().map_or(0, u16::from_be_bytes));
        let wish = self.host().from_kernel(&frame, arrival.ip_at, ethertype);
        match wish {
            FromKernel::Asks(address) => {
                let question = Waiting::Question(port, frame);
                self.neighbours.wanted(At { interface: arrival.interface, address }, question, now_ms);
            }
            FromKernel::Sends => {
                if let Some(interface) = self.routing.interfaces.get(arrival.interface.index()) {
                    host::address_from(&mut frame, interface.source_mac);
                }
                self.transmit(port, &frame);
                self.kernel.taps.count(port, true);
            }
            FromKernel::Tells => {}
            FromKernel::Refused => self.kernel.taps.count(port, false),
        }
    }

    /// Tells the kernel the MAC address that it has asked for.
    pub(super) fn answer_kernel(&mut self, port: PortId, question: &[u8], mac: MacAddr) {
        let Some(answer) = neighbours::answer_of(question, mac) else { return };
        let Some(arrival) = self.router.arrival(question, port) else { return };
        let vlan = self.routing.interfaces.get(arrival.interface.index()).and_then(|one| one.vlan);
        let mut answer = MemFrame::new(answer);
        if vlan.is_none() || vlan::retag(&mut answer, ethernet::HEADER_LEN, vlan).is_ok() {
            self.kernel.taps.answer(port, answer.bytes());
        }
    }

    fn host(&self) -> Host<'_, impl Fn(std::net::IpAddr) -> bool + '_> {
        Host { interfaces: &self.routing.interfaces, owns: |address| owns(self.gate.as_ref(), address) }
    }

    /// Takes over routes of the kernel that have been compiled, and has changed ones compiled on a thread of their own; whether
    /// workers must be told.
    pub(super) fn follow_kernel(&mut self, now_ms: u64) -> bool {
        if let Some(done) = self.kernel.compilation.take_if(|running| running.is_finished()) {
            return self.take_over(done, now_ms);
        }
        let Some(routes) = &mut self.kernel.routes else { return false };
        let idle = self.kernel.compilation.is_none() && Instant::now() >= self.kernel.not_before;
        if !idle || !routes.has_changed().unwrap_or(false) {
            return false;
        }
        let kernel = Arc::clone(&routes.borrow_and_update());
        let mut routing = self.routing.clone();
        routing.routes.drain(..self.kernel.count);
        let compile = move || {
            let started = Instant::now();
            let count = prepend(&kernel, &mut routing);
            let router = super::compile(&routing);
            Compiled { kernel, count, routing, router, took: started.elapsed() }
        };
        match thread::Builder::new().name("routes".to_owned()).spawn(compile) {
            Ok(running) => self.kernel.compilation = Some(running),
            Err(error) => {
                error!("the kernel's routes are not taken over: no thread to compile them: {error}")
            }
        }
        false
    }

    fn take_over(&mut self, done: JoinHandle<Compiled>, now_ms: u64) -> bool {
        let Ok(Compiled { kernel, count, routing, router, took }) = done.join() else {
            error!("the kernel's routes are not taken over: their compilation failed");
            return false;
        };
        self.kernel.not_before = Instant::now() + COMPILE_INTERVAL.max(took * 4);
        (self.kernel.in_force, self.kernel.count) = (kernel, count);
        (self.routing, self.router) = (routing, router);
        self.learn();
        self.manage(now_ms);
        true
    }
}
