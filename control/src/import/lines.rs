//! The lines of keepalived.conf and of what it includes, as keepalived reads them: without comments, with what `$NAME`
//! stands for in its place, and those that begin with `@ID` where they are meant.

use super::definitions::{Definitions, Expanded};
use glob::{MatchOptions, Pattern};
use std::path::{Path, PathBuf};

/// Files within files, at most.
const DEPTH_MAX: usize = 16;

/// Files in all, at most.
const FILES_MAX: usize = 1_000;

/// Lines that definitions stand for, one within the other, at most.
const NESTED_MAX: usize = 64;

/// Lines in all, at most.
const LINES_MAX: usize = 200_000;

/// Where a configuration of keepalived is, and whose it is.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The folder that what it includes is looked for from.
    pub folder: PathBuf,
    /// The node whose lines that begin with `@ID` are meant; keepalived's `--config-id`.
    pub config_id: Option<String>,
}

/// A line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Which included file it is in; `None`: the one that includes.
    pub(super) file: Option<PathBuf>,
    /// Its number, from 1.
    pub(super) number: usize,
    /// What it says.
    pub(super) text: String,
    /// As it is written.
    pub(super) written: String,
}

/// A line that cannot be read.
pub(super) type Wrong = (Line, String);

/// What has been read.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) all: Vec<Line>,
    /// What was passed over, and why.
    pub(super) notes: Vec<String>,
    pub(super) definitions: Definitions,
    files: usize,
}

/// A file that is being read.
#[derive(Clone, Debug)]
struct File {
    /// Where what it includes is looked for.
    folder: PathBuf,
    /// Its name in messages.
    shown: Option<PathBuf>,
    depth: usize,
}

/// All lines of `text`, and of what it includes.
pub(super) fn read(text: &str, origin: &Origin) -> Result<Lines, Wrong> {
    let definitions = Definitions::new(origin.config_id.clone());
    let mut lines = Lines { all: Vec::new(), notes: Vec::new(), definitions, files: 0 };
    lines.text(text, &File { folder: origin.folder.clone(), shown: None, depth: 0 })?;
    Ok(lines)
}

impl Lines {
    fn text(&mut self, text: &str, file: &File) -> Result<(), Wrong> {
        let mut is_defining = false;
        for (i, written) in text.lines().enumerate() {
            let line = Line {
                file: file.shown.clone(),
                number: i + 1,
                text: String::new(),
                written: written.trim().to_owned(),
            };
            if written.is_empty() {
                is_defining = false;
                continue;
            }
            let said = without_comment(written).map_err(|message| (line.clone(), message))?;
            if is_defining {
                if !said.is_empty() {
                    is_defining = self.definitions.go_on(&said);
                }
            } else if !said.is_empty() {
                is_defining = self.line(Line { text: said, ..line }, file, 0)?;
            }
        }
        Ok(())
    }

    /// Takes a line; whether it begins a definition that goes on.
    fn line(&mut self, mut line: Line, file: &File, nested: usize) -> Result<bool, Wrong> {
        let expanded =
            self.definitions.expand(&line.text, &file.folder).map_err(|message| (line.clone(), message))?;
        let (text, rest) = match expanded {
            Expanded::Nothing => return Ok(false),
            Expanded::Definition { goes_on } => return Ok(goes_on),
            Expanded::Line { text, rest } => (text, rest),
        };
        if nested > NESTED_MAX || self.all.len() > LINES_MAX {
            return Err((line, "definitions stand for more lines than can be".to_owned()));
        }
        if text != line.text {
            line.written.clone_from(&text);
        }
        let place = Line { text: String::new(), ..line.clone() };
        line.text = text;
        match included(&line.text) {
            Some((name, pattern)) => {
                let (name, pattern) = (name.to_owned(), pattern.to_owned());
                self.include(&line, &name, &pattern, file)?;
            }
            None if !line.text.is_empty() => self.all.push(line),
            None => {}
        }
        let mut goes_on = false;
        for next in rest {
            goes_on = match goes_on {
                true => self.definitions.go_on(&next),
                false => {
                    let text = without_comment(&next).map_err(|message| (place.clone(), message))?;
                    self.line(Line { written: text.clone(), text, ..place.clone() }, file, nested + 1)?
                }
            };
        }
        Ok(false)
    }

    fn include(&mut self, line: &Line, name: &str, pattern: &str, file: &File) -> Result<(), Wrong> {
        let wrong = |message: String| (line.clone(), message);
        if file.depth == DEPTH_MAX {
            return Err(wrong(format!("files include files {DEPTH_MAX} deep")));
        }
        let found = matching(pattern, &file.folder).map_err(wrong)?;
        if found.is_empty() {
            let has_wildcards = pattern.contains(['*', '?', '[']);
            if !has_wildcards || matches!(name, "includew" | "includea") {
                return Err(wrong(format!("there is no file `{pattern}`")));
            }
            self.notes.push(format!("{}: `{name} {pattern}`: there is no such file.", line.place()));
        }
        for path in found {
            let shown = path.strip_prefix(&file.folder).unwrap_or(&path);
            let shown =
                file.shown.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new("")).join(shown);
            self.files += 1;
            if self.files > FILES_MAX {
                return Err(wrong(format!("more than {FILES_MAX} files are included")));
            }
            if is_passed_over(&path) {
                self.notes.push(format!(
                    "{}: {} is a folder or a program, which keepalived passes over.",
                    line.place(),
                    shown.display()
                ));
                continue;
            }
            let text = std::fs::read_to_string(&path)
                .map_err(|error| wrong(format!("cannot read {}: {error}", shown.display())))?;
            let folder = path.parent().map(Path::to_owned).unwrap_or_default();
            self.text(&text, &File { folder, shown: Some(shown), depth: file.depth + 1 })?;
        }
        Ok(())
    }
}

impl Line {
    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        match &self.file {
            Some(file) => format!("{}, line {}", file.display(), self.number),
            None => format!("line {}", self.number),
        }
    }
}

/// The name of a directive that includes files, and which.
fn included(text: &str) -> Option<(&str, &str)> {
    let (name, pattern) = text.split_once(char::is_whitespace)?;
    let variant = name.strip_prefix("include")?;
    matches!(variant, "" | "r" | "m" | "w" | "b" | "a").then(|| (name, pattern.trim()))
}

/// The files that a pattern means, by name.
fn matching(pattern: &str, folder: &Path) -> Result<Vec<PathBuf>, String> {
    if pattern.contains('{') {
        return Err("braces in the names of files are not understood: a line for each".to_owned());
    }
    // What is in the folder's own name is no pattern.
    let within = PathBuf::from(Pattern::escape(&folder.to_string_lossy())).join(pattern);
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = glob::glob_with(&within.to_string_lossy(), options).map_err(|error| error.to_string())?;
    let found: Result<Vec<PathBuf>, _> = found.collect();
    found.map_err(|error| error.to_string())
}

/// What is no regular file, or may be executed.
fn is_passed_over(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|about| !about.is_file() || about.permissions().mode() & 0o111 != 0)
}

/// A line without its comment and the blanks around it. Quotes are double ones; a backslash takes the meaning from what
/// follows, and goes itself before `#` and `!`.
fn without_comment(line: &str) -> Result<String, String> {
    let (mut said, mut is_quoted) = (String::new(), false);
    let mut letters = line.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '\\' => {
                let next = letters.next();
                if is_quoted || !matches!(next, Some('#' | '!')) {
                    said.push(letter);
                }
                said.extend(next);
                continue;
            }
            '#' | '!' if !is_quoted => break,
            _ => {}
        }
        said.push(letter);
    }
    if is_quoted {
        return Err("a quote is not closed".to_owned());
    }
    said.truncate(said.trim_end().len());
    Ok(said)
}
