//! `lblc`, locality-based least connections: an address's content is fetched by one server, while that bears it.

use super::cache::{Hold, Table};
use super::least::wlc;
use super::{Load, Loads, Server, Servers};
use crate::units::{ServerId, Tick};
use core::net::IpAddr;

/// The server that has had this destination, unless it is overloaded; otherwise the least loaded one, from now on.
#[inline]
pub fn choose(
    table: &mut Table,
    destination: IpAddr,
    servers: &Servers,
    loads: &impl Loads,
    now: Tick,
) -> Option<ServerId> {
    let Some(place) = table.find(destination) else { return learn(table, destination, servers, loads, now) };
    table.touch(place, now);
    let had = table.servers(place).next();
    let hold = table.entry(place).hold;
    if let Some((server, load)) = had.and_then(|had| servers.usable(had, loads))
        && (hold == Hold::Pinned || !is_overloaded((server, load), servers, loads))
    {
        return Some(server.id);
    }
    let chosen = wlc(servers, loads)?;
    if hold == Hold::Learned {
        // It may be overloaded and the least loaded all the same.
        if let Some(had) = had.filter(|had| *had != chosen) {
            table.learn(place, had, false, now);
        }
        table.learn(place, chosen, true, now);
    }
    Some(chosen)
}

/// The least loaded server for a destination that is not known, and is from now on if there is room.
#[inline]
pub(super) fn learn(
    table: &mut Table,
    destination: IpAddr,
    servers: &Servers,
    loads: &impl Loads,
    now: Tick,
) -> Option<ServerId> {
    let chosen = wlc(servers, loads)?;
    if let Some(place) = table.insert(destination, Hold::Learned, now) {
        table.learn(place, chosen, true, now);
    }
    Some(chosen)
}

/// More active connections than its weight, while another server that may get new ones has less than half of its own: so
/// weights are to be the connections that a server bears. IPVS asks the others too, but has no dead ones in its list.
#[inline]
pub(super) fn is_overloaded((server, load): (Server, Load), servers: &Servers, loads: &impl Loads) -> bool {
    let is_half_idle = |(other, load): (Server, Load)| u64::from(load.active) * 2 < u64::from(other.weight);
    load.active > u32::from(server.weight) && servers.all_usable(loads).any(is_half_idle)
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{id, idle, loads, servers};
    use super::*;
    use crate::config::service::Locality;
    use crate::lesson::Lesson;

    const SITE: [u8; 4] = [198, 51, 100, 7];

    #[test]
    fn a_site_stays_with_its_server_until_that_is_overloaded() {
        let (some, mut table) = (servers(&[10, 10]), Table::new(Locality::default()));
        let mut choose =
            |active: &[Option<u32>]| choose(&mut table, SITE.into(), &some, &loads(active), Tick::default());
        assert_eq!(choose(&[Some(1), Some(0)]), Some(id(1)));
        assert_eq!(choose(&[Some(0), Some(10)]), Some(id(1)), "as many as its weight are borne");
        assert_eq!(choose(&[Some(5), Some(11)]), Some(id(1)), "nobody is half idle");
        assert_eq!(choose(&[Some(4), Some(11)]), Some(id(0)));
        assert_eq!(choose(&[Some(9), Some(0)]), Some(id(0)));
        assert_eq!(choose(&[None, Some(0)]), Some(id(1)));
        assert_eq!(choose(&[None, None]), None);
    }

    #[test]
    fn a_server_that_may_get_nothing_is_not_half_idle() {
        let (some, mut table) = (servers(&[10, 10, 10]), Table::new(Locality::default()));
        let mut choose =
            |active: &[Option<u32>]| choose(&mut table, SITE.into(), &some, &loads(active), Tick::default());
        assert_eq!(choose(&[None, Some(0), Some(1)]), Some(id(1)));
        assert_eq!(choose(&[None, Some(11), Some(5)]), Some(id(1)), "the first is dead");
        assert_eq!(choose(&[None, Some(11), Some(4)]), Some(id(2)));
    }

    #[test]
    fn what_one_worker_has_learned_another_one_knows() {
        let (some, now) = (servers(&[10, 10]), Tick::default());
        let [mut one, mut other] = [(); 2].map(|()| Table::new(Locality::default()));
        let on = |table: &mut Table, active: [u32; 2]| {
            choose(table, SITE.into(), &some, &loads(&active.map(Some)), now).map(ServerId::index)
        };
        assert_eq!(on(&mut one, [1, 0]), Some(1));
        one.take_lessons().for_each(|lesson| other.hear(&lesson));
        assert_eq!(on(&mut other, [0, 1]), Some(1));
        assert_eq!(other.take_lessons().count(), 0, "nothing new");
        assert_eq!(on(&mut other, [4, 11]), Some(0));
        other.take_lessons().for_each(|lesson| one.hear(&lesson));
        assert_eq!(on(&mut one, [9, 0]), Some(0));
        one.hold(SITE.into(), Hold::Pinned, Some(id(0)), now);
        one.hear(&Lesson { address: SITE.into(), server: id(0), holds: false, at: now });
        assert_eq!(on(&mut one, [9, 0]), Some(0), "an operator's word stands");
    }

    #[test]
    fn a_pinned_site_stays_and_a_banned_one_is_not_remembered() {
        let (some, mut table) = (servers(&[1, 1]), Table::new(Locality::default()));
        let now = Tick::default();
        table.hold(SITE.into(), Hold::Pinned, Some(id(0)), now);
        assert_eq!(choose(&mut table, SITE.into(), &some, &loads(&[Some(9), Some(0)]), now), Some(id(0)));
        assert_eq!(choose(&mut table, SITE.into(), &some, &loads(&[None, Some(0)]), now), Some(id(1)));
        assert_eq!(choose(&mut table, SITE.into(), &some, &idle, now), Some(id(0)));
        table.hold(SITE.into(), Hold::Banned, None, now);
        assert_eq!(choose(&mut table, SITE.into(), &some, &loads(&[Some(9), Some(0)]), now), Some(id(1)));
        assert_eq!(table.servers(table.find(SITE.into()).unwrap()).count(), 0);
    }

    #[test]
    fn a_full_table_schedules_all_the_same() {
        let some = servers(&[1]);
        let mut table = Table::new(Locality { entries_max: 0, ..Locality::default() });
        assert_eq!(choose(&mut table, SITE.into(), &some, &idle, Tick::default()), Some(id(0)));
        assert!(table.is_empty());
    }
}
