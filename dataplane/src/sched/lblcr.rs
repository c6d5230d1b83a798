//! `lblcr`, locality-based least connections with replication: as `lblc`, but an address's content that one server does
//! not bear is fetched by another one as well, and by fewer again when it has been the same ones for long.

use super::cache::{Hold, Place, Table};
use super::lblc::{is_overloaded, learn};
use super::least::{first_least, is_less, weighted, wlc};
use super::{Loads, Servers};
use crate::units::{ServerId, Tick};
use core::net::IpAddr;

/// The least loaded of the servers that have had this destination, unless it is overloaded; otherwise the least loaded
/// of all, which is one of them from now on.
pub fn choose(
    table: &mut Table,
    destination: IpAddr,
    servers: &Servers,
    loads: &impl Loads,
    now: Tick,
) -> Option<ServerId> {
    let Some(place) = table.find(destination) else { return learn(table, destination, servers, loads, now) };
    table.touch(place, now);
    let usable = table.servers(place).filter_map(|server| servers.usable(server, loads));
    let least = first_least(usable, weighted);
    let hold = table.entry(place).hold;
    if hold == Hold::Learned {
        tidy(table, place, servers, loads, now);
    }
    if let Some((server, load)) = least.and_then(|least| servers.usable(least, loads))
        && (hold == Hold::Pinned || !is_overloaded((server, load), servers, loads))
    {
        return Some(server.id);
    }
    let chosen = wlc(servers, loads)?;
    if hold == Hold::Learned {
        table.learn(place, chosen, true, now);
    }
    Some(chosen)
}

/// Takes a server out that is not of the service any more; else the most loaded one, if there is more than one and they
/// have been the same for long.
fn tidy(table: &mut Table, place: Place, servers: &Servers, loads: &impl Loads, now: Tick) {
    let gone = table.servers(place).find(|server| servers.place(*server).is_none());
    let settled = table.entry(place).members > 1 && table.is_settled(place, now);
    let gone = gone.or_else(|| if settled { most_loaded(table, place, servers, loads) } else { None });
    if let Some(gone) = gone {
        table.learn(place, gone, false, now);
    }
}

/// The first of those for whose weight the load is the greatest; the quiesced are not counted.
fn most_loaded(table: &Table, place: Place, servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
    let members = table.servers(place).filter_map(|id| servers.list().get(servers.place(id)?));
    let weighty = members.filter(|server| server.weight > 0);
    let most = weighty.map(|server| (server.id, weighted(*server, loads.of(server.id))));
    most.reduce(|most, one| if is_less(most.1, one.1) { one } else { most }).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{id, loads, servers};
    use super::*;
    use crate::config::service::Locality;
    use crate::units::Span;

    const SITE: [u8; 4] = [198, 51, 100, 7];

    fn set(table: &Table) -> Vec<usize> {
        table.servers(table.find(SITE.into()).unwrap()).map(ServerId::index).collect()
    }

    #[test]
    fn a_set_grows_when_it_is_overloaded_and_shrinks_by_one_a_day() {
        let (some, mut table) = (servers(&[10, 10, 10]), Table::new(Locality::default()));
        let mut now = Tick::default();
        let day = Span::from_s(86_410).unwrap();
        let on = |table: &mut Table, active: [u32; 3], now| {
            choose(table, SITE.into(), &some, &loads(&active.map(Some)), now).map(ServerId::index)
        };
        assert_eq!(on(&mut table, [0, 1, 1], now), Some(0));
        assert_eq!(on(&mut table, [11, 1, 0], now), Some(2), "one more");
        assert_eq!(set(&table), [2, 0]);
        assert_eq!(on(&mut table, [3, 0, 4], now), Some(0), "the less loaded of the set, not of all");
        assert_eq!(on(&mut table, [11, 0, 11], now), Some(1));
        assert_eq!(set(&table), [1, 2, 0]);
        for left in [[1, 0].as_slice(), &[1], &[1]] {
            now = now.after(day);
            assert_eq!(on(&mut table, [3, 1, 4], now), Some(1));
            assert_eq!(set(&table), left);
        }
    }

    #[test]
    fn a_server_that_is_gone_leaves_the_set() {
        let mut table = Table::new(Locality::default());
        let (all, less) = (servers(&[1, 1, 1]), servers(&[1, 1]));
        let now = Tick::default();
        let chosen = choose(&mut table, SITE.into(), &all, &loads(&[Some(1), Some(1), Some(0)]), now);
        assert_eq!(chosen, Some(id(2)));
        let chosen = choose(&mut table, SITE.into(), &less, &loads(&[Some(1), Some(0)]), now);
        assert_eq!((chosen, set(&table)), (Some(id(1)), vec![1]));
    }

    #[test]
    fn the_dead_and_the_quiesced_are_passed_over() {
        let (some, mut table) = (servers(&[0, 1, 1]), Table::new(Locality::default()));
        let now = Tick::default();
        table.hold(SITE.into(), Hold::Pinned, Some(id(0)), now);
        assert_eq!(
            choose(&mut table, SITE.into(), &some, &loads(&[Some(0), None, Some(7)]), now),
            Some(id(2))
        );
        assert_eq!(set(&table), [0], "an operator's word");
        assert_eq!(choose(&mut table, SITE.into(), &some, &loads(&[Some(0), None, None]), now), None);
    }
}
