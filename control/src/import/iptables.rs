//! Lines of iptables-save, or of a script of `iptables` calls: a rule as the list of its options.

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Its line's number, from 1.
    pub(super) line: usize,
    /// Its line.
    pub(super) text: String,
    /// Its options before the target, in order.
    pub(super) matches: Vec<RuleOption>,
    /// Its target, and the options behind that.
    pub(super) target: Option<(String, Vec<RuleOption>)>,
}

/// An option with the values behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleOption {
    /// Its name, dashes and all; the short one where there are two.
    pub(super) name: String,
    /// What stands behind it up to the next option.
    pub(super) values: Vec<String>,
    /// Whether a `!` stands before it, or before its value.
    pub(super) inverted: bool,
}

impl RuleOption {
    /// Its one value; an error if there is none, or are more.
    pub(super) fn value(&self) -> Result<&str, String> {
        match &*self.values {
            [value] => Ok(value),
            [] => Err(format!("`{}` needs a value", self.name)),
            [_, surplus, ..] => Err(format!("`{surplus}` is not understood")),
        }
    }

    /// As it would be written.
    pub(super) fn written(&self) -> String {
        let inverted = if self.inverted { "! " } else { "" };
        [format!("{inverted}{}", self.name)].iter().chain(&self.values).cloned().collect::<Vec<_>>().join(" ")
    }
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A rule.
    Rule(Rule),
    /// A chain and its policy.
    Policy {
        /// The chain.
        chain: String,
        /// What becomes of a packet that no rule of the chain decides on; `-` in a chain of the user's.
        policy: String,
    },
    /// Nothing that means anything.
    Frame,
}

/// Reads a line.
pub(super) fn read(line: usize, text: &str) -> Result<Line, String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with(['#', '*']) || text == "COMMIT" {
        return Ok(Line::Frame);
    }
    let mut words = words(text)?;
    if let Some(chain) = words[0].strip_prefix(':') {
        let policy = words.get(1).cloned().ok_or("a policy stands behind a chain")?;
        return Ok(Line::Policy { chain: chain.to_owned(), policy });
    }
    // What iptables-save -c puts before each rule.
    if words[0].starts_with('[') && words[0].ends_with(']') {
        words.remove(0);
    }
    if words.first().is_some_and(|word| word.rsplit('/').next().is_some_and(is_program)) {
        words.remove(0);
    }
    if let Some(line) = chain(&words)? {
        return Ok(line);
    }
    rule(line, text, &words).map(Line::Rule)
}

fn is_program(name: &str) -> bool {
    let name = name.strip_suffix("-legacy").or_else(|| name.strip_suffix("-nft")).unwrap_or(name);
    matches!(name, "iptables" | "ip6tables")
}

/// `-P CHAIN POLICY` and `-N CHAIN`, which `iptables -S` prints before the rules; `None`: it is neither.
fn chain(words: &[String]) -> Result<Option<Line>, String> {
    let place = |wanted: [&str; 2]| words.iter().position(|word| wanted.contains(&&**word));
    if place(["-A", "--append"]).is_some() || place(["-I", "--insert"]).is_some() {
        return Ok(None);
    }
    if let Some(at) = place(["-P", "--policy"]) {
        let [chain, policy, ..] = &words[at + 1..] else {
            return Err("a chain and its policy stand behind `-P`".to_owned());
        };
        return Ok(Some(Line::Policy { chain: chain.clone(), policy: policy.clone() }));
    }
    Ok(place(["-N", "--new-chain"]).map(|_| Line::Frame))
}

fn rule(line: usize, text: &str, words: &[String]) -> Result<Rule, String> {
    let (mut matches, mut target): (Vec<RuleOption>, Option<(String, Vec<RuleOption>)>) = (Vec::new(), None);
    let mut inverted = false;
    for word in words {
        let options = match &mut target {
            Some((_, options)) => options,
            None => &mut matches,
        };
        if word == "!" {
            inverted = true;
        } else if word.len() > 1
            && word.starts_with('-')
            && !word[1..].starts_with(|c: char| c.is_ascii_digit())
        {
            options.push(RuleOption { name: short(word).to_owned(), values: Vec::new(), inverted });
            inverted = false;
        } else {
            let option = options.last_mut().ok_or_else(|| format!("`{word}` is not understood"))?;
            // The place where old versions had it.
            option.inverted |= core::mem::take(&mut inverted);
            option.values.push(word.clone());
        }
        if target.is_none()
            && let Some(option) = matches.last()
            && option.name == "-j"
            && let [name] = &*option.values
        {
            target = Some((name.clone(), Vec::new()));
            matches.pop();
        }
    }
    matches.retain(|option| !is_of_the_call(&option.name));
    let has = |name: &str| matches.iter().any(|option| option.name == name);
    if !has("-A") && !has("-I") {
        return Err("this is no rule: rules begin with `-A CHAIN`".to_owned());
    }
    Ok(Rule { line, text: text.to_owned(), matches, target })
}

/// Whether an option is about the call, or counts what the rule has seen, and is no part of what the rule says.
fn is_of_the_call(name: &str) -> bool {
    let wait = name.strip_prefix("-w").or_else(|| name.strip_prefix("-W"));
    wait.is_some_and(|glued| glued.bytes().all(|byte| byte.is_ascii_digit()))
        || matches!(name.split_once('=').map_or(name, |(name, _)| name), "--wait" | "--wait-interval")
        || matches!(name, "-c" | "--set-counters")
}

/// The short name of an option that has two.
fn short(name: &str) -> &str {
    match name {
        "--append" => "-A",
        "--insert" => "-I",
        "--table" => "-t",
        "--destination" | "--dst" => "-d",
        "--source" | "--src" => "-s",
        "--in-interface" => "-i",
        "--out-interface" => "-o",
        "--protocol" | "--proto" => "-p",
        "--match" => "-m",
        "--jump" => "-j",
        "--destination-port" => "--dport",
        "--source-port" => "--sport",
        other => other,
    }
}

/// The words of a line; what stands in quotes is one.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), None, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('\\', _) => {
                word.extend(chars.next());
                begun = true;
            }
            (c, Some(quote)) if c == quote => quoted = None,
            ('"' | '\'', None) => (quoted, begun) = (Some(c), true),
            (c, None) if c.is_whitespace() => {
                if core::mem::take(&mut begun) {
                    words.push(core::mem::take(&mut word));
                }
            }
            (c, _) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if quoted.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        match read(1, text) {
            Ok(Line::Rule(rule)) => rule,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rule_is_its_options_and_its_target() {
        let text =
            r#"[3:180] -A INPUT ! -s 10.0.0.0/8 -m comment --comment "a b" -p ! tcp -j X --new --n -1"#;
        let rule = rule(text);
        let written: Vec<String> = rule.matches.iter().map(RuleOption::written).collect();
        let expected = ["-A INPUT", "! -s 10.0.0.0/8", "-m comment", "--comment a b", "! -p tcp"];
        assert_eq!(written, expected);
        let (target, options) = rule.target.unwrap();
        let options: Vec<String> = options.iter().map(RuleOption::written).collect();
        assert_eq!((&*target, options), ("X", vec!["--new".to_owned(), "--n -1".to_owned()]));
    }

    #[test]
    fn a_call_is_a_rule_and_long_names_are_short() {
        let call = rule("/sbin/iptables --append INPUT --destination 192.0.2.9 --jump ACCEPT");
        assert_eq!(call.matches, rule("-A INPUT -d 192.0.2.9 -j ACCEPT").matches);
        for prefix in ["-w", "-w 5", "-w5", "--wait", "--wait=5", "-w 5 -W 1000"] {
            let waiting = rule(&format!("iptables-nft {prefix} -A INPUT -d 192.0.2.9 -c 3 180 -j ACCEPT"));
            assert_eq!(waiting.matches, call.matches, "{prefix}");
        }
    }

    #[test]
    fn what_is_no_rule_is_told_apart() {
        for frame in ["", "# Generated", "*filter", "COMMIT", "  ", "-N chain", "iptables -w -t nat -N chain"]
        {
            assert_eq!(read(1, frame), Ok(Line::Frame), "{frame}");
        }
        let policy = Line::Policy { chain: "INPUT".to_owned(), policy: "DROP".to_owned() };
        for text in
            [":INPUT DROP [0:0]", "-P INPUT DROP", "iptables -w 5 -P INPUT DROP", "-P INPUT DROP -c 1 60"]
        {
            assert_eq!(read(1, text), Ok(policy.clone()), "{text}");
        }
        for wrong in
            ["hello", "-X chain", "-P INPUT", "-A INPUT -m comment --comment \"open", ":INPUT", "\"\" -A x"]
        {
            assert!(read(1, wrong).is_err(), "{wrong}");
        }
    }
}
