//! Whatever the sequence of reloads, operators' changes and verdicts.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Step {
    Reload(Services),
    Change(usize, usize, Change),
    Alive(usize, bool),
    Load(usize, u32),
    /// Which servers have connections, and whether the workers have caught up.
    Tick(BTreeSet<usize>, bool),
}

const GROUPS: [&str; 2] = ["web", "cache"];
const SERVERS: [&str; 4] = ["a", "b", "c", "d"];

fn definition() -> impl Strategy<Value = services::Server> {
    (0..SERVERS.len(), 1..4u8, 0..3u16, any::<bool>()).prop_map(|(name, n, weight, drain)| services::Server {
        weight,
        drain,
        ..server(SERVERS[name], n)
    })
}

/// No two with one name or place, as the configuration promises.
fn servers() -> impl Strategy<Value = Vec<services::Server>> {
    prop::collection::vec(definition(), 0..5).prop_map(|all| {
        let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
        let is_first = |server: &services::Server| {
            !names.contains(&server.name)
                && places.insert(server.place.address())
                && names.insert(server.name.clone())
        };
        let mut all = all;
        let mut is_first = is_first;
        all.retain(|server| is_first(server));
        all
    })
}

fn config() -> impl Strategy<Value = Services> {
    let groups = prop::collection::vec(prop::option::of(servers()), GROUPS.len());
    groups.prop_map(|groups| {
        let named = (1..).zip(GROUPS).zip(groups);
        // Of servers without health nobody says that they are dead.
        let watched = |service| services::Service { health: Some(health()), ..service };
        let services =
            named.filter_map(|((mark, name), servers)| Some(watched(service(name, mark, &servers?))));
        Services { services: services.collect(), ..Services::default() }
    })
}

fn order() -> impl Strategy<Value = Change> {
    let settings = (prop::option::of(0..3u16), prop::option::of(any::<bool>()))
        .prop_map(|(weight, drain)| Change::Set(Settings { weight, drain, ..Settings::default() }));
    let timeout = prop::option::of((1..4u64).prop_map(Duration::from_secs));
    prop_oneof![
        settings,
        definition().prop_map(Change::Add),
        Just(Change::Remove),
        timeout.prop_map(|timeout| Change::Drain { timeout }),
        Just(Change::Undrain),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        config().prop_map(Step::Reload),
        (0..GROUPS.len(), 0..SERVERS.len(), order())
            .prop_map(|(group, name, order)| Step::Change(group, name, order)),
        (0..20usize, any::<bool>()).prop_map(|(id, alive)| Step::Alive(id, alive)),
        (0..20usize, 0..3u32).prop_map(|(id, load)| Step::Load(id, load)),
        (prop::collection::btree_set(0..20usize, 0..4), any::<bool>())
            .prop_map(|(live, all)| Step::Tick(live, all)),
    ]
}

type Known = BTreeMap<(String, String), Server>;

fn known(registry: &Registry) -> Known {
    let all = registry.all_servers();
    all.map(|(group, server)| ((group.name().to_owned(), server.name().to_owned()), server.clone())).collect()
}

/// The servers that a step does not speak of.
fn untouched(step: &Step, before: &Registry) -> Known {
    let mut all = known(before);
    match step {
        Step::Reload(config) => all.retain(|(group, name), server| {
            let service = config.services.iter().find(|service| service.name == *group);
            let listed = service.and_then(|service| service.servers.iter().find(|one| one.name == *name));
            !server.is_added() && listed.is_some_and(|listed| *listed == server.definition)
        }),
        Step::Change(group, name, order) => {
            let name = match order {
                Change::Add(definition) => &definition.name,
                _ => SERVERS[*name],
            };
            all.remove(&(GROUPS[*group].to_owned(), name.to_owned()));
        }
        Step::Alive(id, _) | Step::Load(id, _) => all.retain(|_, server| server.id.index() != *id),
        Step::Tick(..) => all.retain(|_, server| server.drain.is_none()),
    }
    all
}

fn run(registry: &mut Registry, step: &Step, now_ms: u64) {
    match step {
        Step::Reload(config) => registry.reload(config, now_ms).unwrap(),
        Step::Change(group, name, Change::Add(definition)) => {
            let _ = (
                name,
                registry.change(
                    Collection::Services,
                    GROUPS[*group],
                    &definition.name,
                    Change::Add(definition.clone()),
                    now_ms,
                ),
            );
        }
        // One that is refused changes nothing, which is looked at like all else.
        Step::Change(group, name, order) => {
            drop(registry.change(
                Collection::Services,
                GROUPS[*group],
                SERVERS[*name],
                order.clone(),
                now_ms,
            ));
        }
        Step::Alive(id, alive) => drop(set_alive(registry, *id, *alive)),
        Step::Load(id, load) => drop(set_load(registry, *id, *load)),
        Step::Tick(live, caught_up) => {
            if *caught_up {
                registry.set_in_force(registry.revision());
            }
            let counts =
                |id: ServerId| Counts { active: live.contains(&id.index()).into(), ..Counts::default() };
            registry.tick(now_ms, counts, |_| ServiceCounts::default());
        }
    }
}

proptest! {
    #[test]
    fn numbers_are_unique_and_the_untouched_stay_as_they_are(steps in prop::collection::vec(step(), 0..40)) {
        let mut registry = Registry::default();
        // Under which numbers the packet path may have somebody, and whom: from the first snapshot with one to the last.
        let mut told: BTreeMap<usize, (u64, String)> = BTreeMap::new();
        for (now_s, step) in (1..).zip(&steps) {
            let before = registry.clone();
            run(&mut registry, step, now_s * 1_000);

            let after = known(&registry);
            for (name, server) in untouched(step, &before) {
                prop_assert_eq!(after.get(&name), Some(&server), "{:?} after {:?}", name, step);
            }
            let all = registry.all_servers().map(|(_, server)| server.id);
            let ids: Vec<usize> = all.chain(registry.retired.iter().map(|one| one.server.id)).map(ServerId::index).collect();
            prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{:?}", ids);
            prop_assert!(registry.revision() >= before.revision());
            let same = format!("{:?}", before.compile()) == format!("{:?}", registry.compile());
            prop_assert!(same || registry.revision() > before.revision(), "{:?}", step);

            for (group, server) in registry.all_servers() {
                let whom = format!("{} {} {:?}", group.name(), server.name(), server.definition.place);
                if let Some((last, other)) = told.get(&server.id.index()) {
                    prop_assert!(*other == whom || *last <= before.in_force.max(registry.in_force), "{} {}", other, whom);
                }
                told.insert(server.id.index(), (registry.revision() + 1, whom));
            }
            for retired in registry.retired() {
                if let Some((last, _)) = told.get_mut(&retired.server.id.index()) {
                    *last = registry.revision() + 1;
                }
            }
        }
    }
}
