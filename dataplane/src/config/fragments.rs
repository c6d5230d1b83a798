//! Reassembly: Linux's limits with Linux's defaults, and one of our own.

use crate::units::Span;

/// How fragments wait for the rest of their datagram.
#[derive(Clone, Debug)]
pub struct Fragments {
    /// Frames of the whole node that wait, at most; the workers share it evenly. Linux has no such limit: it keeps
    /// waiting fragments from using up the packet buffers.
    pub frames_max: u32,
    /// IPv4.
    pub ipv4: Ipv4Fragments,
    /// IPv6.
    pub ipv6: Ipv6Fragments,
}

/// `ipfrag_*`.
#[derive(Clone, Debug)]
pub struct Ipv4Fragments {
    /// How long a datagram may take. `ipfrag_time`.
    pub timeout: Span,
    /// Bytes of the whole node that wait before fragments are refused. `ipfrag_high_thresh`, but Linux counts its
    /// buffers with all that belongs to them, and here the frames are counted.
    pub high_thresh_bytes: u32,
    /// Fragments of the same source that may come between two of one datagram; 0: any number. `ipfrag_max_dist`.
    pub max_dist: u32,
}

/// `nf_conntrack_frag6_*`.
#[derive(Clone, Debug)]
pub struct Ipv6Fragments {
    /// How long a datagram may take. `nf_conntrack_frag6_timeout`.
    pub timeout: Span,
    /// Bytes of the whole node that wait before fragments are refused. `nf_conntrack_frag6_high_thresh`.
    pub high_thresh_bytes: u32,
}

const HIGH_THRESH_BYTES: u32 = 4 << 20;

const fn s(seconds: u32) -> Span {
    match Span::from_s(seconds) {
        Some(span) => span,
        None => Span::MAX,
    }
}

impl Default for Fragments {
    fn default() -> Self {
        Self { frames_max: 4096, ipv4: Ipv4Fragments::default(), ipv6: Ipv6Fragments::default() }
    }
}

impl Default for Ipv4Fragments {
    fn default() -> Self {
        Self { timeout: s(30), high_thresh_bytes: HIGH_THRESH_BYTES, max_dist: 64 }
    }
}

impl Default for Ipv6Fragments {
    fn default() -> Self {
        Self { timeout: s(60), high_thresh_bytes: HIGH_THRESH_BYTES }
    }
}
