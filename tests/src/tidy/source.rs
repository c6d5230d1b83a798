//! Rust source with its comments, its literals and its tests told apart from its code.

use std::ops::Range;

/// One file.
#[derive(Clone, Debug)]
pub struct Source {
    /// From the top of the tree.
    pub path: String,
    /// As it stands in the file.
    pub text: String,
    /// The same length, with comments and the inside of literals blanked.
    pub code: String,
    /// Like `code`, with tests blanked too.
    pub product: String,
}

impl Source {
    /// Reads a file's text.
    pub fn new(path: &str, text: &str) -> Self {
        let code = without_comments_and_literals(text);
        let is_test = path.starts_with("tests/")
            || path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"));
        let tests = if is_test { std::iter::once(0..code.len()).collect() } else { test_items(&code) };
        let product = blank(&code, &tests);
        Self { path: path.into(), text: text.into(), code, product }
    }

    /// The text of its tests, literals included.
    pub fn tests(&self) -> String {
        let bytes = self.code.bytes().zip(self.product.bytes()).zip(self.text.bytes());
        // Literals are blank in both; those between a test's first and last byte of code belong to it.
        let mut inside = self.product.trim().is_empty();
        let mut tests = Vec::new();
        for ((code, product), text) in bytes {
            if !code.is_ascii_whitespace() {
                inside = product.is_ascii_whitespace();
            }
            tests.push(if inside { text } else { b' ' });
        }
        String::from_utf8_lossy(&tests).into_owned()
    }

    /// The line number, from 1, of a place in the text.
    pub fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
    }

    /// Its functions.
    pub fn functions(&self) -> Vec<Function> {
        words(&self.code, "fn").into_iter().filter_map(|at| self.function(at)).collect()
    }

    /// Its innermost function around a place in the text.
    pub fn function_around(&self, at: usize) -> Option<Function> {
        self.functions().into_iter().rfind(|function| function.place.contains(&at))
    }

    /// How many lines a function takes.
    pub fn lines(&self, function: &Function) -> usize {
        self.line(function.place.end - 1) - self.line(function.place.start) + 1
    }

    fn function(&self, at: usize) -> Option<Function> {
        let rest = &self.code[at + 2..];
        let name: String =
            rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            return None; // a function pointer's type
        }
        let end = item_end(&self.code, at)?;
        Some(Function { name, place: at..end })
    }

    /// First segments of all paths from the root of its crate, in its product code: `track` for
    /// `crate::track::Table`.
    pub fn modules_named(&self) -> Vec<String> {
        let mut modules = Vec::new();
        for at in words(&self.product, "crate") {
            let Some(rest) = self.product[at + 5..].strip_prefix("::") else { continue };
            match rest.strip_prefix('{') {
                Some(group) => modules.extend(group_heads(group)),
                None => modules.push(identifier(rest)),
            }
        }
        modules.sort();
        modules.dedup();
        modules
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// From `fn` to its closing brace.
    pub place: Range<usize>,
}

/// Where `word` stands by itself in `code`.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word)
        .filter(|(at, _)| {
            !part(code[..*at].chars().next_back().filter(|_| part(word.chars().next())))
                && !part(code[at + word.len()..].chars().next().filter(|_| part(word.chars().next_back())))
        })
        .map(|(at, _)| at)
        .collect()
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first identifiers of a `{a::b, c::{d, e}}` whose opening brace is gone.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = vec![identifier(group)];
    let mut depth = 0;
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => break,
            b'}' => depth -= 1,
            b',' if depth == 0 => heads.push(identifier(&group[at + 1..])),
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// Blanks these ranges, keeping lines where they are; what is not ASCII becomes `?`, so that lengths stay too.
fn blank(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        for byte in bytes[range.clone()].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
    }
    bytes.iter().map(|byte| if byte.is_ascii() { *byte as char } else { '?' }).collect()
}

/// Everything under `#[cfg(test)]`, be it the file, and every `#[test]`.
fn test_items(code: &str) -> Vec<Range<usize>> {
    if code.contains("#![cfg(test)]") {
        return core::iter::once(0..code.len()).collect();
    }
    ["#[cfg(test)]", "#[test]"]
        .iter()
        .flat_map(|mark| code.match_indices(mark))
        .map(|(at, mark)| at..item_end(code, at + mark.len()).unwrap_or(code.len()))
        .collect()
}

/// One past the end of the item that begins at `from`: its closing brace, or its semicolon.
fn item_end(code: &str, from: usize) -> Option<usize> {
    let mut braces = 0;
    let mut brackets = 0;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return Some(at + 1);
                }
            }
            b';' if braces == 0 && brackets == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn without_comments_and_literals(text: &str) -> String {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = token_end(text.as_bytes(), at);
        if let Some(range) = hidden(text.as_bytes(), at, end) {
            ranges.push(range);
        }
        at = end;
    }
    blank(text, &ranges)
}

/// What of the token at `at..end` is no code.
fn hidden(text: &[u8], at: usize, end: usize) -> Option<Range<usize>> {
    match text[at] {
        b'/' if end > at + 1 => Some(at..end),
        b'"' | b'\'' if end > at + 1 => Some(at + 1..end.saturating_sub(1).max(at + 1)),
        b'r' if end > at + 1 && text[at + 1..end].contains(&b'"') => Some(at + 1..end),
        _ => None,
    }
}

/// Where the comment, literal or single byte that begins at `at` ends.
fn token_end(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let length = match rest[0] {
        b'/' if rest.starts_with(b"//") => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        b'/' if rest.starts_with(b"/*") => block_comment(rest),
        b'"' => quoted(rest, b'"'),
        b'\'' if is_char_literal(rest) => quoted(rest, b'\''),
        b'r' if at == 0 || !is_word(text[at - 1]) || text[at - 1] == b'b' => raw_string(rest).unwrap_or(1),
        _ => 1,
    };
    at + length
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    for at in 0..rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Tells `'a'` from the lifetime `'a`.
fn is_char_literal(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(byte) if is_word(*byte) => rest.get(2) == Some(&b'\''),
        Some(_) => rest.iter().skip(2).take(4).any(|byte| *byte == b'\''),
        None => false,
    }
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
    let body = 2 + hashes;
    let length = rest[body..].windows(end.len()).position(|window| window == end)?;
    Some(body + length + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let source = Source::new(
            "x.rs",
            "a /* b /* c */ d */ e // f\n\"g \\\" h\" 'i' '\\'' 'j: loop r#\"k\"l\"# b\"m\" 'ß' n",
        );
        let words: Vec<&str> =
            source.code.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
        assert_eq!(words, ["a", "e", "j", "loop", "r", "b", "n"]);
        assert_eq!(source.code.len(), source.text.len());
    }

    #[test]
    fn tests_are_no_product() {
        let source =
            Source::new("a/x.rs", "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { \"}c\"; } }\nfn d() {}\n");
        assert!(source.product.contains("fn a") && source.product.contains("fn d"));
        assert!(!source.product.contains("fn b"));
        assert!(source.tests().contains("}c") && !source.tests().contains("fn d"));
        assert!(Source::new("tests/src/x.rs", "fn a() {}").tests().contains("fn a"));
    }

    #[test]
    fn a_function_ends_at_its_brace() {
        let source = Source::new("x.rs", "fn a(x: [u8; 4]) -> fn(u8) {\n  if b {\n  }\n}\nfn c();\n");
        let functions = source.functions();
        let found = functions.iter().map(|function| {
            (function.name.as_str(), source.line(function.place.start), source.lines(function))
        });
        assert_eq!(found.collect::<Vec<_>>(), [("a", 1, 4), ("c", 5, 1)]);
        let inside = source.text.find("if").unwrap();
        assert_eq!(source.function_around(inside), Some(functions[0].clone()));
    }

    #[test]
    fn paths_from_the_root_are_found_in_groups_too() {
        let text = "use crate::a::B;\nuse crate::{c::{D, E}, f};\nfn g() { crate::h::i() }\n// crate::j\n\
                    #[cfg(test)]\nmod tests { use crate::k; }";
        assert_eq!(Source::new("a/x.rs", text).modules_named(), ["a", "c", "f", "h"]);
    }

    #[test]
    fn a_word_stands_alone() {
        assert_eq!(words("dynamic dyn A undyn", "dyn"), [8]);
        assert_eq!(words("xvec![] vec![]", "vec!"), [8]);
        assert_eq!(words("a.collect() b.collected", ".collect()"), [1]);
    }
}
