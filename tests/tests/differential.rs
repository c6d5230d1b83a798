//! Weir beside this machine's Linux: random traffic that misbehaves, the captures of the folder that `CAPTURES`
//! names, and what once showed a difference. With `GOLDENS` the oracle itself is held against recorded answers.
//!
//! A difference is shrunk to the shortest stream that shows it; that stream lies in `target/differential`, from
//! where it can be moved to `tests/regressions`. `SEED` (a number, or `random`), `SEEDS` (how many) and `FRAMES`
//! (of each) make the random traffic another or longer; `RECIPE` and `SETTING` pick one.
//!
//! Needs root, and a kernel with bridge netfilter, conntrack, the cluster match and NFLOG.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use weir_tests::conformance::{self, Expectations, LinuxAnswer, Mode};
use weir_tests::differential::case::{self, Case};
use weir_tests::differential::{About, Difference, Duel, Setting, Stream};
use weir_tests::mischief::{Mischievous, Recipe};
use weir_tests::oracle::{EVERY_HELPER, Oracle, Rules};
use weir_tests::{capture, differential, netns, tree};

/// Frames of one random stream.
const FRAMES: u64 = 1500;
/// Random streams of each recipe, setting and address family.
const SEEDS: u64 = 4;
/// Differences of one stream that are shown beside the shortest one.
const SHOWN: usize = 10;
/// Streams that are shrunk, of those with differences.
const STREAMS_SHRUNK: usize = 3;

fn available() -> bool {
    netns::available("differential test")
}

/// The number in this environment variable.
fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) if variable == "SEED" && text == "random" => {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
        }
        Ok(text) if !text.is_empty() => {
            text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number"))
        }
        _ => otherwise,
    }
}

fn picked(variable: &str, name: &str) -> bool {
    std::env::var(variable).map_or(true, |wanted| wanted.is_empty() || wanted == name)
}

/// As usual in both modes, and what else operators set.
fn settings() -> Vec<Setting> {
    let all = Setting::new(Mode::All);
    let settings = [
        Setting::new(Mode::Own),
        all,
        Setting { loose: true, ..all },
        Setting { liberal: true, ..all },
        Setting { ignore_invalid_rst: true, ..all },
        Setting { loose: true, liberal: true, ..all },
        Setting { no_checksum: true, ..all },
    ];
    settings.into_iter().filter(|setting| picked("SETTING", &setting.name())).collect()
}

#[test]
fn random_ipv4_traffic_is_seen_as_linux_sees_it() {
    random_traffic::<Ipv4Addr>("ipv4");
}

#[test]
fn random_ipv6_traffic_is_seen_as_linux_sees_it() {
    random_traffic::<Ipv6Addr>("ipv6");
}

fn random_traffic<A: Mischievous>(family: &str) {
    if !available() {
        return;
    }
    let first = number("SEED", 0);
    let (seeds, frames) = (number("SEEDS", SEEDS), number("FRAMES", FRAMES));
    let frames = usize::try_from(frames).unwrap();
    let mut judge = Judge::default();
    for setting in settings() {
        let mut duel = Duel::new(setting).unwrap();
        for recipe in Recipe::ALL.into_iter().filter(|recipe| picked("RECIPE", recipe.name())) {
            for seed in first..first + seeds {
                let stream = recipe.frames::<A>(seed, frames);
                judge.hear(&format!("{}-{family}-{seed}", recipe.name()), &mut duel, &stream).unwrap();
            }
        }
    }
    judge.finish(&format!("random {family} traffic from seed {first} on"));
}

#[test]
fn given_captures_are_seen_as_linux_sees_them() {
    let Some(captures) = weir_tests::folder("CAPTURES") else {
        return weir_tests::cannot_run("differential with given captures: set CAPTURES to their folder");
    };
    if !available() {
        return;
    }
    let expectations = Expectations::listed().unwrap();
    let mut judge = Judge::default();
    for mode in Mode::ALL {
        let mut duel = Duel::new(Setting::new(mode)).unwrap();
        for name in conformance::names(&captures).unwrap() {
            let stream = frames(&captures.join(format!("{name}.pcap")));
            judge.hear_expecting(&expectations.frames(&name, mode), &name, &mut duel, &stream).unwrap();
        }
    }
    judge.finish("the given captures");
}

#[test]
fn what_once_differed_is_seen_as_linux_sees_it() {
    if !available() {
        return;
    }
    let mut judge = Judge::default();
    for case in case::read_all(&tree().join("tests/regressions")).unwrap() {
        let mut duel = Duel::new(case.setting).unwrap();
        let said = duel.linux(&case.stream).unwrap();
        assert_eq!(said.answers, case.said.answers, "{}: Linux says otherwise than recorded", case.name);
        judge.hear(&case.name, &mut duel, &case.stream).unwrap();
    }
    judge.finish("regression cases");
}

#[test]
fn the_oracle_gives_the_recorded_answers() {
    let Some((captures, goldens)) = weir_tests::folder("CAPTURES").zip(weir_tests::folder("GOLDENS")) else {
        return weir_tests::cannot_run("the oracle's own test: set CAPTURES and GOLDENS to their folders");
    };
    if !available() {
        return;
    }
    for mode in Mode::ALL {
        let rules = Rules { helpers: EVERY_HELPER.to_vec(), ..Rules::new(mode) };
        for name in conformance::captures(&goldens).unwrap() {
            let stream = frames(&captures.join(format!("{name}.pcap")));
            let answers = Oracle::new(&rules).unwrap().answers(stream.iter().map(Vec::as_slice)).unwrap();
            let text =
                std::fs::read_to_string(goldens.join(format!("{name}.{}.jsonl", mode.name()))).unwrap();
            let recorded: Vec<LinuxAnswer> = conformance::lines(&text).unwrap();
            assert_eq!(answers.len(), recorded.len(), "{name}");
            for (answer, recorded) in answers.iter().zip(&recorded).filter(|(_, r)| r.unsent.is_none()) {
                assert_eq!(answer, recorded, "{name} {}", mode.name());
            }
        }
    }
}

fn frames(path: &Path) -> Stream {
    capture::read(path).unwrap().into_iter().map(|record| record.bytes).collect()
}

/// Collects what differs.
#[derive(Default)]
struct Judge {
    frames: usize,
    states: BTreeMap<String, usize>,
    wrong: String,
    streams_with_differences: usize,
}

impl Judge {
    /// Compares a stream; where something differs, finds the shortest stream that shows it and keeps it.
    fn hear(&mut self, name: &str, duel: &mut Duel, stream: &Stream) -> Result<()> {
        self.hear_expecting(&BTreeSet::new(), name, duel, stream)
    }

    /// The same, where these frames may differ; then nothing is said of the flows at the end.
    fn hear_expecting(
        &mut self,
        expected: &BTreeSet<usize>,
        name: &str,
        duel: &mut Duel,
        stream: &Stream,
    ) -> Result<()> {
        let said = duel.linux(stream)?;
        for verdict in said.answers.iter().filter_map(|answer| answer.verdicts.first()) {
            *self.states.entry(verdict.state.clone()).or_default() += 1;
        }
        self.frames += stream.len();
        let mut differences = differential::differences(duel.setting(), stream, &said)?;
        differences.retain(|difference| match &difference.about {
            About::Frame(number) => !expected.contains(number),
            About::Flow(_) => expected.is_empty(),
        });
        let Some(first) = differences.first() else { return Ok(()) };
        self.streams_with_differences += 1;
        let setting = duel.setting().name();
        writeln!(self.wrong, "{name} {setting}: {} differences", differences.len())?;
        show(&mut self.wrong, &differences)?;
        if self.streams_with_differences > STREAMS_SHRUNK {
            return Ok(());
        }
        let stream = duel.shortest(stream.clone(), first)?;
        let said = duel.linux(&stream)?;
        let differences = differential::differences(duel.setting(), &stream, &said)?;
        let case = Case { name: name.to_owned(), setting: *duel.setting(), stream, said };
        let path = case.write(&tree().join("target/differential"))?;
        writeln!(self.wrong, "the shortest stream that differs, {}:\n{}", path.display(), packets(&path)?)?;
        show(&mut self.wrong, &differences)
    }

    fn finish(self, what: &str) {
        println!("{} frames of {what} compared; Linux called packets {:?}", self.frames, self.states);
        assert!(self.wrong.is_empty(), "\n{}", self.wrong);
    }
}

fn show(text: &mut String, differences: &[Difference]) -> Result<()> {
    for difference in differences.iter().take(SHOWN) {
        writeln!(text, "  {difference}")?;
    }
    Ok(())
}

/// The packets of a capture, one line each.
fn packets(path: &PathBuf) -> Result<String> {
    netns::output(Command::new("tcpdump").args(["-#nnSvtr"]).arg(path)).context("tcpdump shows the packets")
}
