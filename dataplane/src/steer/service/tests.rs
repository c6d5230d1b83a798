use super::shared::Hashed;
use super::*;
use crate::config::Rule;
use crate::config::service::{
    Locality, MaglevHashing, Persistence, Place, Server as Configured, Service as Config, SourceHashing,
};
use crate::key::{Address, Family};
use crate::sched::Load;
use crate::units::PortId;

const VIP: [u8; 4] = [192, 0, 2, 80];
const SITE: [u8; 4] = [198, 51, 100, 7];

fn server(index: usize, weight: u16) -> Configured {
    let address = [10, 0, 0, u8::try_from(index + 1).unwrap()].into();
    let server = Configured::new(ServerId::new(index).unwrap(), Place::Address(address));
    Configured { port: 80, weight, last_weight: weight.max(1), ..server }
}

fn service(selector: Selector, scheduler: Scheduler, servers: &[Configured]) -> Config {
    Config {
        id: ServiceId::FIRST,
        selector: Some(selector),
        scheduler,
        persistence: None,
        servers: servers.to_vec(),
        fallback: Fallback::Reject,
    }
}

fn at(port: u16) -> Selector {
    Selector::Address { protocol: IpProtocol::TCP, address: VIP.into(), port }
}

fn to(destination: [u8; 4], port: u16) -> Facts {
    Facts {
        family: Family::V4,
        source: Address::v4([203, 0, 113, 9]),
        destination: Address::v4(destination),
        protocol: IpProtocol::TCP,
        ports: (40_000, port),
        port: PortId::FIRST,
        vlan: None,
        mark: Mark::default(),
    }
}

fn idle(_: ServerId) -> Load {
    Load::default()
}

#[test]
fn a_service_is_found_by_mark_then_port_then_address() {
    let web = Rule { destination_port: Some(80..=80), ..Rule::default() };
    let not_the_caches = Rule { source: Some("10.0.0.0/24".parse().unwrap()), ..Rule::default() };
    let services = Services::compile(
        1,
        &config::Services {
            marks: vec![(not_the_caches, None), (web, Some(Mark(7)))],
            services: [Selector::Mark(Mark(7)), at(80), at(443), at(0)]
                .map(|selector| service(selector, Scheduler::Rr, &[]))
                .into(),
            ..config::Services::default()
        },
    );
    let found = |facts: &Facts| services.find(services.mark(facts), facts);
    assert_eq!(found(&to(SITE, 80)), Some(0));
    assert_eq!(found(&to(VIP, 80)), Some(0), "a mark comes first");
    assert_eq!(found(&to(VIP, 443)), Some(2));
    assert_eq!(found(&to(VIP, 22)), Some(3));
    assert_eq!(found(&to(SITE, 22)), None);
    let from_a_cache = |destination| Facts { source: Address::v4([10, 0, 0, 1]), ..to(destination, 80) };
    assert_eq!(found(&from_a_cache(SITE)), None, "what caches ask for is not captured again");
    assert_eq!(found(&from_a_cache(VIP)), Some(1));
}

#[test]
fn an_address_is_shared_by_rules_whose_mark_is_asked_for_and_by_no_others() {
    let host = |n: u8| Rule { destination: format!("192.0.2.{n}").parse().ok(), ..Rule::default() };
    let asking = Rule { mark: Some(Mark(8)), ..Rule::default() };
    let services = Services::compile(
        1,
        &config::Services {
            marks: (1..)
                .zip([None, Some(Mark(6)), Some(Mark(7)), Some(Mark(8))])
                .map(|(n, mark)| (host(n), mark))
                .collect(),
            assignments: vec![
                (asking, Assignment::Service(ServiceId::FIRST)),
                (host(5), Assignment::Service(ServiceId::FIRST)),
            ],
            services: vec![service(Selector::Mark(Mark(7)), Scheduler::Rr, &[])],
            ..config::Services::default()
        },
    );
    let shared: Vec<u8> =
        (1..=6).filter(|n| services.shares(Family::V4, Address::v4([192, 0, 2, *n]))).collect();
    assert_eq!(shared, [3, 4, 5]);
}

#[test]
fn every_scheduler_gives_a_connection_to_a_server_that_can_take_it() {
    let locality = Locality::default();
    let all = [
        Scheduler::Rr,
        Scheduler::Wrr,
        Scheduler::Lc,
        Scheduler::Wlc,
        Scheduler::Sed,
        Scheduler::Nq,
        Scheduler::Fo,
        Scheduler::Ovf,
        Scheduler::Dh,
        Scheduler::Sh(SourceHashing { fallback: true, ..SourceHashing::default() }),
        Scheduler::Mh(MaglevHashing { fallback: true, ..MaglevHashing::default() }),
        Scheduler::Twos,
        Scheduler::Lblc(locality),
        Scheduler::Lblcr(locality),
        Scheduler::LeastLoad,
    ];
    let facts = |n: u8| Facts {
        source: Address::v4([203, 0, 113, n]),
        ports: (n.into(), 80),
        ..to([198, 51, 100, n], 80)
    };
    let facts: Vec<Facts> = (0..100).map(facts).collect();
    let request = |n: u8| Request { facts: &facts[usize::from(n)], random: u64::from(n) << 56 };
    for scheduler in all {
        let config = service(at(80), scheduler, &[server(0, 2), server(1, 0), server(2, 1)]);
        let (service, mut memory) = (Service::compile(&config, None), Memory::new(scheduler));
        for n in 0..100 {
            let chosen = service.choose(&request(n), &mut memory, &idle, Tick::default());
            match chosen.map(ServerId::index) {
                Some(0 | 2) => {}
                None if scheduler == Scheduler::Dh => {}
                other => panic!("{scheduler:?}: {other:?}"),
            }
        }
        let dead = |_: ServerId| Load { overloaded: true, ..Load::default() };
        assert_eq!(service.choose(&request(1), &mut memory, &dead, Tick::default()), None, "{scheduler:?}");
    }
}

#[test]
fn a_memory_of_another_scheduler_does_no_harm() {
    let service = Service::compile(&service(at(80), Scheduler::Rr, &[server(0, 1)]), None);
    let request = Request { facts: &to(VIP, 80), random: 0 };
    let chosen = service.choose(&request, &mut Memory::None, &idle, Tick::default());
    assert_eq!(chosen, Some(ServerId::FIRST));
}

#[test]
fn what_services_have_of_those_before_is_shared() {
    let table = |services: &Services| match &services.services[0].table.hashed {
        Hashed::Mh(table) => Arc::clone(table),
        other => panic!("{other:?}"),
    };
    let servers = [server(0, 1), server(1, 1)];
    let mut config = config::Services {
        marks: vec![(Rule { destination_port: Some(80..=80), ..Rule::default() }, Some(Mark(7)))],
        services: vec![service(Selector::Mark(Mark(7)), Scheduler::Mh(MaglevHashing::default()), &servers)],
        ..config::Services::default()
    };
    let before = Services::compile(1, &config);
    let shares = |config: &config::Services| {
        let after = Services::recompile(Some(&before), 1, config);
        let anew = Services::compile(1, config);
        assert_eq!(format!("{:?}", table(&after)), format!("{:?}", table(&anew)));
        [Arc::ptr_eq(&before.rules, &after.rules), Arc::ptr_eq(&table(&before), &table(&after))]
    };
    config.services[0].servers[1].reported_load = 7;
    config.services[0].servers[1].state = ServerState::Dead;
    assert_eq!(shares(&config), [true, true], "neither looks at loads and verdicts");
    config.services[0].servers[1].last_weight = 9;
    assert_eq!(shares(&config), [true, false]);
    config.services[0].servers[1].last_weight = 1;
    config.services[0].scheduler = Scheduler::Mh(MaglevHashing { size: 251, ..MaglevHashing::default() });
    assert_eq!(shares(&config), [true, false]);
    config.marks[0].1 = Some(Mark(8));
    assert_eq!(shares(&config), [true, false], "what a rule gives is not compiled");
    config.marks[0].0.destination_port = Some(81..=81);
    assert_eq!(shares(&config), [false, false]);
}

#[test]
fn a_worker_is_sent_what_it_does_not_remember_yet() {
    let persistence = Persistence {
        timeout: crate::units::Span::MAX,
        ipv4_prefix_len: 32,
        ipv6_prefix_len: 128,
        clients_max: 4,
    };
    let one = |id, port| Config {
        id: ServiceId::new(id).unwrap(),
        persistence: Some(persistence),
        ..service(at(port), Scheduler::Rr, &[server(0, 1)])
    };
    let mut config = config::Services { services: vec![one(0, 80)], ..config::Services::default() };
    let first = Services::compile(1, &config);
    config.services[0].servers[0].weight = 7;
    let same = first.followed_by(&config);
    assert_eq!(same.version(), 1, "workers go on with what they have");
    config.services.push(one(1, 443));
    let more = same.followed_by(&config);
    let made = |has| {
        let memories = more.memories(has);
        [0, 1].map(|id| memories.find(ServiceId::new(id).unwrap()).unwrap().clients.is_some())
    };
    assert_eq!((more.version(), made(Some(1))), (2, [false, true]));
    assert_eq!((made(None), made(Some(0))), ([true; 2], [true; 2]), "it has another memory, or none");
}
