//! The weightiest first: `fo` and `ovf`.

use super::{Loads, Servers};
use crate::units::ServerId;

/// `fo`, failover: all to the weightiest that is usable.
#[inline]
pub fn fo(servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
    first_weightiest(servers, loads, |_, _| true)
}

/// `ovf`, overflow: to the weightiest that has no more active connections than its weight; so to the next one when
/// that is full, and to nobody when all are.
#[inline]
pub fn ovf(servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
    first_weightiest(servers, loads, |weight, active| active <= u32::from(weight))
}

#[inline]
fn first_weightiest(
    servers: &Servers,
    loads: &impl Loads,
    fits: impl Fn(u16, u32) -> bool,
) -> Option<ServerId> {
    let fitting = servers.all_usable(loads).filter(|(server, load)| fits(server.weight, load.active));
    let best = fitting
        .map(|(server, _)| server)
        .reduce(|best, server| if server.weight > best.weight { server } else { best });
    best.map(|server| server.id)
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{id, loads, servers};
    use super::*;

    #[test]
    fn the_next_weightiest_takes_over() {
        let some = servers(&[1, 3, 3]);
        assert_eq!(fo(&some, &loads(&[Some(0), Some(9), Some(0)])), Some(id(1)));
        assert_eq!(fo(&some, &loads(&[Some(0), None, Some(0)])), Some(id(2)));
        assert_eq!(fo(&some, &loads(&[Some(0), None, None])), Some(id(0)));
    }

    #[test]
    fn what_is_over_its_weight_flows_over() {
        let some = servers(&[1, 3]);
        assert_eq!(ovf(&some, &loads(&[Some(0), Some(3)])), Some(id(1)));
        assert_eq!(ovf(&some, &loads(&[Some(1), Some(4)])), Some(id(0)));
        assert_eq!(ovf(&some, &loads(&[Some(2), Some(4)])), None);
    }
}
