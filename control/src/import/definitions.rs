//! keepalived's `$NAME=` and `@ID`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Replacements in a line one after the other, at most.
const ROUNDS_MAX: usize = 100;

/// The length of a line with all replaced, at most, in bytes.
const LEN_MAX: usize = 1 << 16;

/// What keepalived itself defines and is not known here.
const NOT_KNOWN: [&str; 3] = ["_INSTANCE", "_RANDOM", "_ENV"];

/// What has been defined up to now.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions {
    config_id: Option<String>,
    values: BTreeMap<String, Value>,
    /// Names that one node defines so, another otherwise, and it is not said whose file this is.
    unknown: BTreeSet<String>,
    /// The definition that goes on in the next line.
    current: Option<String>,
}

/// What a name stands for.
#[derive(Clone, Debug, Default)]
struct Value {
    lines: Vec<String>,
    /// It was written in several lines: then it stands at the end of a line alone.
    is_long: bool,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    /// Nothing for this node.
    Nothing,
    /// It defines something.
    Definition {
        /// And the next line is part of that.
        goes_on: bool,
    },
    /// A line, and those that come behind it out of the same definition.
    Line { text: String, rest: Vec<String> },
}

/// Whether a line that begins with `@` is this node's.
enum Whose<'a> {
    /// It says this then.
    Own(&'a str),
    Other,
    Unknown(&'a str),
}

impl Definitions {
    pub(super) fn new(config_id: Option<String>) -> Self {
        Self { config_id, ..Self::default() }
    }

    /// Replaces what a line without its comment names; `folder`: that of its file.
    pub(super) fn expand(&mut self, text: &str, folder: &Path) -> Result<Expanded, String> {
        let (mut text, mut rest) = (text.to_owned(), Vec::new());
        for _ in 0..ROUNDS_MAX {
            if text.starts_with('@') {
                match self.whose(&text) {
                    Whose::Own(own) => text = own.to_owned(),
                    Whose::Other if rest.is_empty() => return Ok(Expanded::Nothing),
                    Whose::Other => return Ok(Expanded::Line { text: String::new(), rest }),
                    Whose::Unknown(said) => {
                        if let Some((name, value)) = definition(said) {
                            self.values.remove(name);
                            self.unknown.insert(name.to_owned());
                            self.current = None;
                            return Ok(Expanded::Definition { goes_on: value.ends_with('\\') });
                        }
                        if said.matches('{').count() != said.matches('}').count() {
                            return Err("say whose lines are meant, with `--config-id`".to_owned());
                        }
                        return Ok(Expanded::Line { text, rest });
                    }
                }
            }
            if let Some((name, value)) = definition(&text) {
                return Ok(Expanded::Definition { goes_on: self.define(name, value) });
            }
            if text.starts_with('~') {
                break;
            }
            let Some((replaced, more)) = self.replaced(&text, folder)? else { break };
            text = replaced.trim().to_owned();
            rest.splice(0..0, more);
            if text.len() > LEN_MAX {
                return Err("with all definitions replaced it is too long".to_owned());
            }
        }
        if self.replaced(&text, folder)?.is_some() && !text.starts_with('~') {
            return Err("definitions name each other in a circle".to_owned());
        }
        if ["${_ENV ", "${_RANDOM "].iter().any(|name| text.contains(name)) {
            return Err("`_ENV` and `_RANDOM` are not known here: write out what they stand for".to_owned());
        }
        let text = text.replace("${_HASH}", "#").replace("${_BANG}", "!");
        Ok(Expanded::Line { text, rest })
    }

    /// Takes a further line of a definition; whether one more comes.
    pub(super) fn go_on(&mut self, said: &str) -> bool {
        let (line, goes_on) = said.strip_suffix('\\').map_or((said, false), |line| (line.trim_end(), true));
        let value = self.current.as_ref().and_then(|name| self.values.get_mut(name));
        if let Some(value) = value.filter(|_| !line.is_empty()) {
            value.lines.push(line.to_owned());
        }
        goes_on
    }

    /// A name in `text` of which it is not known what it stands for.
    pub(super) fn unknown_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        let mut starts = text.match_indices('$').map(|(at, _)| at);
        starts.find_map(|at| {
            let (name, _) = named(text.get(at..)?)?;
            (self.unknown.contains(name) || NOT_KNOWN.contains(&name)).then_some(name)
        })
    }

    fn whose<'a>(&self, text: &'a str) -> Whose<'a> {
        let Some((id, said)) = text.split_once([' ', '\t']) else { return Whose::Other };
        let (id, is_own) = match id.strip_prefix("@^") {
            Some(other) => (other, false),
            None => (id.strip_prefix('@').unwrap_or(id), true),
        };
        match &self.config_id {
            None => Whose::Unknown(said.trim()),
            Some(own) if (own == id) == is_own => Whose::Own(said.trim()),
            Some(_) => Whose::Other,
        }
    }

    fn define(&mut self, name: &str, value: &str) -> bool {
        let first = value.strip_suffix('\\').map(str::trim_end);
        let lines = match first {
            Some("") => Vec::new(),
            Some(first) => vec![first.to_owned()],
            None => vec![value.to_owned()],
        };
        self.unknown.remove(name);
        self.values.insert(name.to_owned(), Value { lines, is_long: first.is_some() });
        self.current = Some(name.to_owned());
        first.is_some()
    }

    /// A line with what each name stands for in its place, and the lines behind it; `None`: it has none.
    fn replaced(&self, text: &str, folder: &Path) -> Result<Option<(String, Vec<String>)>, String> {
        let (mut replaced, mut rest, mut more, mut any) = (String::new(), text, Vec::new(), false);
        while let Some((before, from)) = rest.find('$').and_then(|at| rest.split_at_checked(at)) {
            replaced += before;
            let found = named(from).and_then(|(name, len)| {
                let behind = from.get(len..)?;
                let value = self.value(name, folder)?;
                (!value.is_long || behind.is_empty()).then_some((value, behind))
            });
            match found {
                Some((value, behind)) => {
                    let mut lines = value.lines.into_iter();
                    replaced += &lines.next().unwrap_or_default();
                    more.extend(lines);
                    (rest, any) = (behind, true);
                }
                None => {
                    replaced.push('$');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
            if replaced.len() > LEN_MAX {
                return Err("with all definitions replaced it is too long".to_owned());
            }
        }
        Ok(any.then(|| (replaced + rest, more)))
    }

    fn value(&self, name: &str, folder: &Path) -> Option<Value> {
        let own = |text: String| Value { lines: vec![text], is_long: false };
        let given = self.values.get(name).cloned();
        given.or_else(|| match name {
            "_PWD" => Some(own(folder.display().to_string())),
            "_INSTANCE" => self.config_id.clone().map(own),
            _ => None,
        })
    }
}

/// The name and the value of a definition.
fn definition(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.strip_prefix('$')?.split_once('=')?;
    (len_of_name(name) == name.len() && !name.is_empty()).then(|| (name, value.trim()))
}

/// The name behind a `$`, and how long it is with that and its braces.
fn named(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix('$')?;
    if let Some(inner) = rest.strip_prefix('{') {
        let len = len_of_name(inner);
        return (len > 0 && inner.as_bytes().get(len) == Some(&b'}')).then(|| (&inner[..len], len + 3));
    }
    let len = len_of_name(rest);
    let ends = matches!(rest.as_bytes().get(len), None | Some(b' ' | b'\t' | b',' | b')'));
    (len > 0 && ends).then(|| (&rest[..len], len + 1))
}

fn len_of_name(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(definitions: &mut Definitions, text: &str) -> Result<Expanded, String> {
        definitions.expand(text, Path::new("/etc/keepalived"))
    }

    fn one(text: &str) -> Result<Expanded, String> {
        Ok(Expanded::Line { text: text.to_owned(), rest: Vec::new() })
    }

    #[test]
    fn names_are_replaced_where_they_are_used() {
        let mut definitions = Definitions::default();
        for (text, expected) in
            [("$BASE=10.2.${SUB}", None), ("$SUB=7", None), ("a ${BASE}.1", Some("a 10.2.7.1"))]
        {
            let expected = expected.map_or(Ok(Expanded::Definition { goes_on: false }), one);
            assert_eq!(line(&mut definitions, text), expected);
        }
        for text in ["a $SUBx", "a ${NONE}", "a $ b", "a $1", "a ${SUB"] {
            assert_eq!(line(&mut definitions, text), one(text));
        }
        assert_eq!(line(&mut definitions, "f ${_PWD}/x ${_HASH}"), one("f /etc/keepalived/x #"));
        assert!(line(&mut definitions, "$A=x$A").is_ok() && line(&mut definitions, "b $A").is_err());
        assert!(line(&mut definitions, "$C=${C}${C}").is_ok() && line(&mut definitions, "b ${C}").is_err());
        assert!(line(&mut definitions, "w ${_RANDOM 1 5}").is_err());
    }

    #[test]
    fn a_definition_may_have_several_lines() {
        let mut definitions = Definitions::default();
        assert_eq!(line(&mut definitions, "$RS= \\"), Ok(Expanded::Definition { goes_on: true }));
        assert!(definitions.go_on("real_server 10.0.0.1 80 { \\") && !definitions.go_on("}"));
        let rest = vec!["}".to_owned()];
        let expected = Expanded::Line { text: "real_server 10.0.0.1 80 {".to_owned(), rest };
        assert_eq!(line(&mut definitions, "$RS"), Ok(expected));
        assert_eq!(line(&mut definitions, "$RS x"), one("$RS x"));
    }

    #[test]
    fn a_line_is_one_nodes() {
        let mut main = Definitions::new(Some("main".to_owned()));
        assert_eq!(line(&mut main, "@main weight 2"), one("weight 2"));
        assert_eq!(line(&mut main, "@^other weight 2"), one("weight 2"));
        assert_eq!(line(&mut main, "@other weight 2"), Ok(Expanded::Nothing));
        assert_eq!(line(&mut main, "@^main weight 2"), Ok(Expanded::Nothing));
        let mut anyone = Definitions::default();
        assert_eq!(line(&mut anyone, "@main weight 2"), one("@main weight 2"));
        assert!(line(&mut anyone, "@main real_server {").is_err());
        assert_eq!(line(&mut anyone, "@main $W=2"), Ok(Expanded::Definition { goes_on: false }));
        assert_eq!(anyone.unknown_in("weight $W"), Some("W"));
        assert_eq!(anyone.unknown_in("weight ${_INSTANCE} $X"), Some("_INSTANCE"));
        assert_eq!(anyone.unknown_in("weight $X"), None);
    }
}
