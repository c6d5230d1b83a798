//! One frame's answer, Linux's and ours.

use serde::{Deserialize, Serialize};

/// Whose flows were tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The node's own: what belongs to the other node is dropped before it is tracked.
    Own,
    /// Everybody's.
    All,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Own, Self::All];

    /// As files and configurations are named.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::All => "all",
        }
    }
}

/// A line of Linux's answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LinuxAnswer {
    /// From 1.
    pub frame: usize,
    /// One for each IP packet that reached netfilter with this frame. Only the first is compared.
    pub verdicts: Vec<LinuxVerdict>,
    /// Frames that left with it.
    pub out: usize,
    /// Why Linux was never shown this frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsent: Option<String>,
}

/// What Linux said of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LinuxVerdict {
    /// As `-m conntrack --ctstate` says.
    pub state: String,
    /// It goes in the flow's reply direction.
    pub reply: bool,
    /// The cluster match matched.
    pub cluster: bool,
}

/// A line of `weir replay --verdicts`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeirAnswer {
    /// From 1, within its input.
    pub frame: usize,
    /// The port it came in by.
    pub port: String,
    /// Absent where nothing was tracked.
    pub state: Option<String>,
    /// It goes in the flow's reply direction.
    pub reply: bool,
    /// This node owns it.
    pub cluster: bool,
    /// Its outcome.
    pub verdict: String,
    /// The port it left by.
    pub out: Option<String>,
    /// Why it was dropped.
    pub reason: Option<String>,
    /// What became of it after it was held.
    #[serde(default)]
    pub released: Option<Released>,
}

/// What became of a frame that was held, and with which frame.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Released {
    /// Absent when its time ran out.
    pub frame: Option<usize>,
    /// The port which that came in by.
    pub port: Option<String>,
    /// Its outcome.
    pub verdict: String,
    /// The port it left by.
    pub out: Option<String>,
    /// Why it was dropped.
    pub reason: Option<String>,
}

/// Where the two differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Linux's answer in a few words.
    pub linux: String,
    /// Ours.
    pub weir: String,
}

/// `None` where the two agree, or where Linux was never shown the frame. A fragment that is held agrees with one that
/// Linux keeps: what becomes of it later goes to the account of the frame that completes its datagram.
///
/// In [`Mode::All`] the Linux set-up drops nothing by ownership, while a node forwards its own share alone: there
/// a frame that both saw as a packet must be forwarded exactly if Linux let it through and the match matched.
pub fn compare(mode: Mode, linux: &LinuxAnswer, weir: &WeirAnswer) -> Option<Difference> {
    if linux.unsent.is_some() {
        return None;
    }
    let first = linux.verdicts.first();
    let through = linux.out > 0 && (mode == Mode::Own || first.is_none_or(|verdict| verdict.cluster));
    let theirs = words(first.map(|v| (v.state.as_str(), v.reply, v.cluster)), through);
    let forwarded = weir.verdict == "forward";
    let ours = words(weir.state.as_deref().map(|state| (state, weir.reply, weir.cluster)), forwarded);
    (theirs != ours).then(|| {
        let reason = weir.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        Difference { linux: theirs, weir: ours + &reason }
    })
}

fn words(tracked: Option<(&str, bool, bool)>, forwarded: bool) -> String {
    let mut words = match tracked {
        None => "-".to_owned(),
        Some((state, reply, cluster)) => {
            let direction = if reply { "reply" } else { "original" };
            format!("{state} {direction} {}", if cluster { "ours" } else { "not ours" })
        }
    };
    words.push_str(if forwarded { ", forwarded" } else { ", not forwarded" });
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux(text: &str) -> LinuxAnswer {
        serde_json::from_str(text).unwrap()
    }

    fn weir(state: &str, verdict: &str, cluster: bool) -> WeirAnswer {
        let text = format!(
            r#"{{"frame":1,"port":"in","state":{state},"reply":false,"cluster":{cluster},"verdict":"{verdict}","out":null,"reason":null}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_packet_of_the_other_node_agrees_when_it_is_a_shadow() {
        let theirs =
            linux(r#"{"frame":1,"verdicts":[{"state":"NEW","reply":false,"cluster":false}],"out":1}"#);
        assert_eq!(compare(Mode::All, &theirs, &weir(r#""NEW""#, "shadow", false)), None);
        assert!(compare(Mode::All, &theirs, &weir(r#""NEW""#, "forward", false)).is_some());
        assert!(compare(Mode::Own, &theirs, &weir(r#""NEW""#, "drop", false)).is_some());
        assert!(compare(Mode::All, &theirs, &weir(r#""INVALID""#, "shadow", false)).is_some());
    }

    #[test]
    fn a_frame_that_is_no_packet_agrees_when_it_has_no_state_and_passes() {
        let theirs = linux(r#"{"frame":1,"verdicts":[],"out":1}"#);
        for mode in Mode::ALL {
            assert_eq!(compare(mode, &theirs, &weir("null", "forward", true)), None);
            assert!(compare(mode, &theirs, &weir("null", "drop", false)).is_some());
            assert!(compare(mode, &theirs, &weir(r#""NEW""#, "forward", true)).is_some());
        }
    }

    #[test]
    fn nothing_is_said_of_a_frame_that_linux_never_saw() {
        let theirs = linux(r#"{"frame":1,"verdicts":[],"out":0,"unsent":"Message too long"}"#);
        assert_eq!(compare(Mode::Own, &theirs, &weir(r#""NEW""#, "forward", true)), None);
    }
}
