use super::super::servers::fixtures::id;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn small() -> Locality {
    Locality { entries_max: 6, members_max: 10, ..Locality::default() }
}

fn address(n: u8) -> IpAddr {
    [192, 0, 2, n].into()
}

fn at_s(s: u32) -> Tick {
    Tick::default().after(Span::from_s(s).unwrap())
}

#[test]
fn the_idle_are_forgotten_sooner_when_the_table_is_full() {
    let mut table = Table::new(small());
    for n in 0..5 {
        table.insert(address(n), Hold::Learned, at_s(0)).unwrap();
    }
    table.sweep(at_s(400), 6);
    assert_eq!(table.len(), 5);
    table.insert(address(5), Hold::Learned, at_s(400)).unwrap();
    assert_eq!(table.insert(address(6), Hold::Learned, at_s(400)), None);
    table.sweep(at_s(401), 6);
    assert!(table.len() < 6 && table.find(address(5)).is_some());
    table.sweep(at_s(86_900), 6);
    assert!(table.is_empty());
}

#[test]
fn what_an_operator_said_stays() {
    let mut table = Table::new(small());
    assert!(table.hold(address(1), Hold::Pinned, Some(id(3)), at_s(0)));
    assert!(table.hold(address(1), Hold::Pinned, Some(id(4)), at_s(0)));
    assert!(table.hold(address(2), Hold::Banned, None, at_s(0)));
    table.sweep(at_s(1_000_000), 6);
    assert_eq!(table.servers(table.find(address(1)).unwrap()).collect::<Vec<_>>(), [id(4)]);
    table.forget(address(1));
    table.forget(address(2));
    assert!(table.is_empty());
}

#[test]
fn each_address_is_shown_once_with_its_servers() {
    let mut table = Table::new(small());
    assert!(table.hold(address(1), Hold::Pinned, Some(id(3)), at_s(1)));
    let place = table.insert(address(2), Hold::Learned, at_s(2)).unwrap();
    table.add(place, id(4), at_s(3));
    table.add(place, id(5), at_s(4));
    table.forget(address(1));
    let shown: Vec<View> = (0..6).filter_map(|place| table.view(place, at_s(10))).collect();
    assert_eq!(table.capacity(), 6);
    let [view] = shown[..] else { panic!("{shown:?}") };
    assert_eq!((view.address, view.hold, view.members), (address(2), Hold::Learned, 2));
    assert_eq!((view.unused.as_s(), view.unchanged.as_s()), (8, 6));
    assert_eq!(view.servers[..3], [Some(id(5)), Some(id(4)), None]);
}

#[test]
fn chains_are_short_however_many_addresses_there_are_and_whoever_chose_them() {
    const COUNT: u32 = 1 << 14;
    let limits = Locality { entries_max: COUNT, ..Locality::default() };
    let any = |i: u32| IpAddr::V4(i.into());
    // All alike to IPVS's hash: the words of each are XORed to 0.
    let alike = |i: u32| IpAddr::V6((u128::from(i) << 96 | u128::from(i)).into());
    for address in [&any as &dyn Fn(u32) -> IpAddr, &alike] {
        let mut table = Table::new(limits);
        for i in 0..COUNT {
            table.insert(address(i), Hold::Learned, at_s(0)).unwrap();
        }
        let longest = (0..table.buckets.len()).map(|bucket| table.chain(bucket).count()).max();
        assert!(longest.is_some_and(|longest| longest < 16), "{longest:?}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Add(u8, usize),
    Remove(u8, usize),
    Forget(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (address, server) = (0..9u8, 0..4usize);
    prop_oneof![
        address.clone().prop_map(Step::Insert),
        (address.clone(), server.clone()).prop_map(|(a, s)| Step::Add(a, s)),
        (address.clone(), server).prop_map(|(a, s)| Step::Remove(a, s)),
        address.prop_map(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn it_is_a_map_of_sets_with_limited_room(steps in prop::collection::vec(step(), 0..200)) {
        let (mut table, mut model) = (Table::new(small()), BTreeMap::<IpAddr, Vec<ServerId>>::new());
        for step in steps {
            let members: usize = model.values().map(Vec::len).sum();
            match step {
                Step::Insert(n) if !model.contains_key(&address(n)) => {
                    let room = model.len() < 6;
                    prop_assert_eq!(table.insert(address(n), Hold::Learned, at_s(0)).is_some(), room);
                    if room {
                        model.insert(address(n), vec![]);
                    }
                }
                Step::Insert(_) => {}
                Step::Add(n, server) => if let Some(set) = model.get_mut(&address(n)) {
                    table.add(table.find(address(n)).unwrap(), id(server), at_s(0));
                    if !set.contains(&id(server)) && members < 10 {
                        set.insert(0, id(server));
                    }
                },
                Step::Remove(n, server) => if let Some(set) = model.get_mut(&address(n)) {
                    table.remove(table.find(address(n)).unwrap(), id(server), at_s(0));
                    set.retain(|member| *member != id(server));
                },
                Step::Forget(n) => {
                    table.forget(address(n));
                    model.remove(&address(n));
                }
            }
            let known: BTreeMap<IpAddr, Vec<ServerId>> =
                table.entries().map(|(place, entry)| (entry.address, table.servers(place).collect())).collect();
            prop_assert_eq!(&known, &model);
            prop_assert!(table.entries().all(|(_, entry)| model[&entry.address].len() == usize::from(entry.members)));
            prop_assert_eq!(table.len(), model.len());
        }
    }
}
