//! The rules: each a function from sources to offences, one line an offence.

use super::source::{Source, words};

/// Lines of a file, at most.
pub const FILE_LINES_MAX: usize = 500;

/// Lines of a function, at most.
pub const FUNCTION_LINES_MAX: usize = 70;

/// A place where a rule does not hold, and why that is right.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// The file.
    pub path: &'static str,
    /// What of it: a function, a word; empty for the file as a whole.
    pub what: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// Offences that no exception names, and exceptions that excuse nothing any more.
#[derive(Debug, Default)]
pub struct Judge {
    exceptions: Vec<(Exception, bool)>,
    offences: Vec<String>,
}

impl Judge {
    /// With these exceptions.
    pub fn new(exceptions: &[Exception]) -> Self {
        Self { exceptions: exceptions.iter().map(|one| (*one, false)).collect(), offences: Vec::new() }
    }

    /// `what` in `path` is against a rule, unless excepted.
    pub fn offence(&mut self, path: &str, what: &str, text: String) {
        match self.exceptions.iter_mut().find(|(one, _)| one.path == path && one.what == what) {
            Some((_, used)) => *used = true,
            None => self.offences.push(text),
        }
    }

    /// What is wrong.
    pub fn finish(mut self) -> Vec<String> {
        for (one, used) in &self.exceptions {
            if !used {
                self.offences.push(format!(
                    "{}: the exception for {:?} excuses nothing: remove it",
                    one.path, one.what
                ));
            }
            if one.reason.is_empty() {
                self.offences.push(format!("{}: an exception needs a reason", one.path));
            }
        }
        self.offences
    }
}

/// Files and functions are short enough to read at once.
pub fn lengths(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    let mut judge = Judge::new(exceptions);
    for source in sources {
        let path = &source.path;
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            judge.offence(path, "", format!("{path}: {lines} lines, more than {FILE_LINES_MAX}"));
        }
        for function in source.functions() {
            let (line, lines, name) =
                (source.line(function.place.start), source.lines(&function), &function.name);
            if lines > FUNCTION_LINES_MAX {
                let text =
                    format!("{path}:{line}: fn {name} has {lines} lines, more than {FUNCTION_LINES_MAX}");
                judge.offence(path, name, text);
            }
        }
    }
    judge.finish()
}

/// Modules import from lower levels only. `levels` stand highest first; modules of one level do not know each other.
pub fn import_order(sources: &[Source], root: &str, levels: &[&[&str]]) -> Vec<String> {
    let level = |module: &str| levels.iter().position(|level| level.contains(&module));
    let mut offences = Vec::new();
    for source in sources {
        let Some(inside) = source.path.strip_prefix(root) else { continue };
        let own = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
        if own == "lib" {
            continue;
        }
        let Some(own_level) = level(own) else {
            offences.push(format!("{}: the module {own} has no place in the order of imports", source.path));
            continue;
        };
        for module in source.modules_named().iter().filter(|module| *module != own) {
            match level(module) {
                // Macros and constants of the crate's root are below everything.
                None => {}
                Some(other) if other > own_level => {}
                Some(_) => offences.push(format!("{}: {own} must not import {module}", source.path)),
            }
        }
        offences.extend(climbs(source, inside));
    }
    offences
}

/// A `super` path that leaves its top module would hide an import.
fn climbs(source: &Source, inside: &str) -> Option<String> {
    let depth = inside.split('/').count() - usize::from(inside.ends_with("/mod.rs"));
    let chain = format!("{}::", vec!["super"; depth].join("::"));
    let found = words(&source.product, &chain).into_iter().next()?;
    Some(format!("{}:{}: write crate:: for what is outside the module", source.path, source.line(found)))
}

/// Words that may not stand in the packet path.
#[derive(Clone, Copy, Debug)]
pub struct Ban<'a> {
    /// Anywhere.
    pub always: &'a [&'a str],
    /// But in the functions that make a table when the gateway starts.
    pub but_in_constructors: &'a [&'a str],
    /// What those functions are called.
    pub constructors: &'a [&'a str],
}

/// No banned word stands in the product code of these sources.
pub fn banned_words(sources: &[Source], ban: Ban<'_>, exceptions: &[Exception]) -> Vec<String> {
    let mut judge = Judge::new(exceptions);
    for source in sources {
        let constructing = |at| {
            let function = source.function_around(at);
            function.is_some_and(|function| ban.constructors.contains(&function.name.as_str()))
        };
        let always = ban.always.iter().map(|word| (word, false));
        let mostly = ban.but_in_constructors.iter().map(|word| (word, true));
        for (word, may_construct) in always.chain(mostly) {
            let places = words(&source.product, word).into_iter();
            for at in places.filter(|at| !(may_construct && constructing(*at))) {
                let text = format!("{}:{}: {word} in the packet path", source.path, source.line(at));
                judge.offence(&source.path, word, text);
            }
        }
    }
    judge.finish()
}

/// `unsafe` stands in these folders and files only, and each use says above it what makes it sound.
pub fn unsafe_code(sources: &[Source], places: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for source in sources {
        let allowed = places.iter().any(|place| source.path.starts_with(place));
        for at in words(&source.code, "unsafe") {
            let line = source.line(at);
            let rest = source.code[at + "unsafe".len()..].trim_start();
            if !allowed {
                offences.push(format!("{}:{line}: unsafe does not belong here", source.path));
            } else if (rest.starts_with('{') || rest.starts_with("impl")) && !says_safety(source, line) {
                offences.push(format!("{}:{line}: unsafe without a SAFETY comment", source.path));
            }
        }
    }
    offences
}

/// Whether a comment with SAFETY ends within the three lines above `line`, or stands on it.
fn says_safety(source: &Source, line: usize) -> bool {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut above = line - 1;
    if lines[above].contains("SAFETY:") {
        return true;
    }
    let mut code_lines = 0;
    while above > 0 && code_lines <= 2 {
        above -= 1;
        let text = lines[above].trim_start();
        if text.contains("SAFETY:") {
            return true;
        }
        code_lines += usize::from(!text.starts_with("//"));
    }
    false
}

/// Nothing is left unfinished or switched off.
pub fn leftovers(sources: &[Source]) -> Vec<String> {
    let in_code = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
    let anywhere = ["TODO", "FIXME", "XXX"];
    let mut offences = Vec::new();
    for source in sources {
        let code = in_code.iter().map(|word| (word, &source.code));
        let comments = comments(source);
        let notes = anywhere.iter().map(|word| (word, &comments));
        for (word, text) in code.chain(notes) {
            for at in words(text, word) {
                offences.push(format!("{}:{}: {word}", source.path, source.line(at)));
            }
        }
    }
    offences
}

/// The comments of a source, everything else blanked.
fn comments(source: &Source) -> String {
    let line = |(text, code): (&str, &str)| {
        let start = text.match_indices("//").map(|(at, _)| at).find(|at| code[*at..].trim().is_empty());
        start.map_or_else(|| " ".repeat(text.len()), |at| format!("{}{}", " ".repeat(at), &text[at..]))
    };
    let lines: Vec<String> = source.text.split('\n').zip(source.code.split('\n')).map(line).collect();
    lines.join("\n")
}

/// Names that no test of `sources` has in its text.
pub fn untested<'a>(sources: &[Source], names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let tests: Vec<String> = sources.iter().map(Source::tests).collect();
    names.into_iter().filter(|name| !tests.iter().any(|text| !words(text, name).is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> Vec<Source> {
        vec![Source::new(path, text)]
    }

    #[test]
    fn a_long_file_and_a_long_function_are_offences_unless_excepted() {
        let long = format!("fn a() {{\n{}}}\n", "x;\n".repeat(FILE_LINES_MAX));
        let sources = one("a.rs", &long);
        assert_eq!(lengths(&sources, &[]).len(), 2);
        let except = |what| Exception { path: "a.rs", what, reason: "a table" };
        assert!(lengths(&sources, &[except(""), except("a")]).is_empty());
        assert_eq!(lengths(&one("a.rs", "fn a() {}"), &[except("a")]).len(), 1, "a stale exception");
    }

    #[test]
    fn imports_go_down_only() {
        let levels: &[&[&str]] = &[&["top"], &["left", "right"], &["low"]];
        let check = |path: &str, text: &str| import_order(&one(path, text), "d/src/", levels);
        assert!(check("d/src/top.rs", "use crate::{left::A, low::B};").is_empty());
        assert_eq!(check("d/src/low.rs", "use crate::left::A;").len(), 1);
        assert_eq!(check("d/src/left/mod.rs", "fn a() { crate::right::b() }").len(), 1, "siblings");
        assert_eq!(check("d/src/new.rs", "").len(), 1, "a module without a place");
        assert_eq!(check("d/src/left/a.rs", "use super::super::right::A;").len(), 1);
        assert!(
            check("d/src/left/a.rs", "use super::b::A;\n#[cfg(test)] mod tests { use crate::top; }")
                .is_empty()
        );
    }

    #[test]
    fn a_banned_word_counts_in_product_code_only() {
        let text = "fn a() { b.collect(); dyn } // dyn\nfn new() { b.collect(); dyn }\n\
                    #[cfg(test)]\nmod tests { fn c() { dyn } }";
        let ban = Ban { always: &["dyn"], but_in_constructors: &[".collect()"], constructors: &["new"] };
        let found =
            ["1: dyn", "2: dyn", "1: .collect()"].map(|what| format!("a/a.rs:{what} in the packet path"));
        assert_eq!(banned_words(&one("a/a.rs", text), ban, &[]), found);
        let exceptions = ["dyn", ".collect()"].map(|what| Exception { path: "a/a.rs", what, reason: "why" });
        assert!(banned_words(&one("a/a.rs", text), ban, &exceptions).is_empty());
    }

    #[test]
    fn unsafe_needs_its_place_and_its_reason() {
        let bare = "fn a() { unsafe { b() } }";
        let said = "// SAFETY: b has no conditions.\nlet c = unsafe { b() };";
        assert_eq!(unsafe_code(&one("pure/a.rs", said), &["ffi/"]).len(), 1);
        assert_eq!(unsafe_code(&one("ffi/a.rs", bare), &["ffi/"]).len(), 1);
        assert!(unsafe_code(&one("ffi/a.rs", said), &["ffi/"]).is_empty());
    }

    #[test]
    fn leftovers_are_found_in_code_and_comments_but_not_in_literals() {
        assert_eq!(
            leftovers(&one("a.rs", "fn a() { todo!() } // TODO later\nlet b = \"TODO todo!\";")).len(),
            2
        );
        assert_eq!(leftovers(&one("a.rs", "#[test]\n#[ignore]\nfn a() {}")).len(), 1);
    }

    #[test]
    fn a_name_is_tested_when_a_test_says_it() {
        let text = "fn a() { Good; Bad; }\n#[cfg(test)] mod tests { fn b() { Good; \"file.yaml\" } }";
        assert_eq!(untested(&one("a/a.rs", text), ["Good", "Bad", "file.yaml"]), ["Bad"]);
    }
}
