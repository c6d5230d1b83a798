//! The syntax of keepalived.conf: statements of words, with blocks in braces.

use super::lines::Line;

/// A statement: its words, and what stands in braces behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its line among all that were read, from 0.
    pub(super) line: usize,
    /// Its words, without quotes; at least one.
    pub(super) words: Vec<String>,
    /// What it is written as, up to its braces.
    pub(super) text: String,
    /// What stands in its braces.
    pub(super) block: Vec<Self>,
}

impl Statement {
    /// Its first word.
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Its words after the first.
    pub(super) fn values(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Its one value; an error if there is none, or are more.
    pub(super) fn value(&self) -> Result<&str, String> {
        match self.values() {
            [value] => Ok(value),
            [] => Err(format!("`{}` needs a value", self.name())),
            [_, surplus, ..] => Err(format!("`{surplus}` is not understood")),
        }
    }
}

/// A piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// With where it begins and ends in the line, quotes and all.
    Word(&'a str, usize, usize),
    Open,
    Close,
}

/// Reads lines without comments. One that cannot be read is an error with its place among them.
pub(super) fn read(lines: &[Line]) -> Result<Vec<Statement>, (usize, String)> {
    let mut open: Vec<Vec<Statement>> = vec![Vec::new()];
    for (at, line) in lines.iter().enumerate() {
        // The statement whose words are being read.
        let mut current = Statement::default();
        let mut begin = 0;
        for piece in pieces(&line.text).map_err(|message| (at, message))? {
            match piece {
                Piece::Word(word, start, end) => {
                    if current.words.is_empty() {
                        (current.line, begin) = (at, start);
                    }
                    current.words.push(word.to_owned());
                    current.text = line.text.get(begin..end).unwrap_or_default().to_owned();
                }
                Piece::Open => {
                    finish(&mut current, &mut open);
                    open.push(Vec::new());
                }
                Piece::Close => {
                    finish(&mut current, &mut open);
                    let block = open.pop().unwrap_or_default();
                    let owner = open.last_mut().and_then(|around| around.last_mut());
                    let owner = owner.ok_or_else(|| (at, "`}` without `{`".to_owned()))?;
                    owner.block.extend(block);
                }
            }
        }
        finish(&mut current, &mut open);
    }
    match open.pop() {
        Some(all) if open.is_empty() => Ok(all),
        _ => Err((lines.len().saturating_sub(1), "`}` is missing at the end".to_owned())),
    }
}

fn finish(current: &mut Statement, open: &mut [Vec<Statement>]) {
    if !current.words.is_empty()
        && let Some(around) = open.last_mut()
    {
        around.push(core::mem::take(current));
    }
}

fn pieces(line: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(letter) = line.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = line.get(at..).unwrap_or_default();
        match letter {
            '{' => pieces.push(Piece::Open),
            '}' => pieces.push(Piece::Close),
            '"' => {
                let inner = rest.get(1..).unwrap_or_default();
                let len = end_of_quote(inner).ok_or("a quote is not closed")?;
                pieces.push(Piece::Word(inner.get(..len).unwrap_or_default(), at, at + len + 2));
                at += len + 2;
                continue;
            }
            _ if letter.is_whitespace() => {}
            _ => {
                let len = end_of_word(rest);
                let word = rest.get(..len).unwrap_or_default();
                if word == "\\" && rest.len() == len {
                    return Err("only definitions, `$NAME=`, go on behind a `\\`".to_owned());
                }
                pieces.push(Piece::Word(word, at, at + len));
                at += len;
                continue;
            }
        }
        at += letter.len_utf8();
    }
    Ok(pieces)
}

/// Where the quote ends that `inner` begins in; a backslash takes the meaning from what follows.
fn end_of_quote(inner: &str) -> Option<usize> {
    let mut letters = inner.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// Where the word ends that `rest` begins with. Braces in its midst that belong together, as in `/a?b={c}`, are its own.
fn end_of_word(rest: &str) -> usize {
    let mut letters = rest.char_indices();
    // Up to here all is the word's.
    let mut own = 0;
    while let Some((at, letter)) = letters.next() {
        match letter {
            _ if at < own => {}
            '\\' => drop(letters.next()),
            '{' => match len_of_braces(rest.get(at..).unwrap_or_default()) {
                Some(len) => own = at + len,
                None => return at,
            },
            '}' | '"' => return at,
            _ if letter.is_whitespace() => return at,
            _ => {}
        }
    }
    rest.len()
}

/// How long the braces are that `rest` begins with, if they close in the same word and are not empty.
fn len_of_braces(rest: &str) -> Option<usize> {
    let end = rest.find(|letter: char| letter.is_whitespace() || letter == '"' || letter == '}')?;
    (rest.as_bytes().get(end) == Some(&b'}') && end > 1).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Statement>, (usize, String)> {
        let line = |text: &str| Line { text: text.to_owned(), ..Line::default() };
        super::read(&text.lines().map(line).collect::<Vec<_>>())
    }

    #[test]
    fn a_statement_has_words_and_a_block() {
        let text =
            "global { }\nserver 10.0.0.1 80 {\n  weight 2\n  url { path \"/a b\" }\n}\nlast\n{\n  x\n}\n";
        let all = read(text).unwrap();
        let names: Vec<&str> = all.iter().map(Statement::name).collect();
        assert_eq!(names, ["global", "server", "last"]);
        assert_eq!((all[1].line, all[1].values()), (1, &["10.0.0.1".to_owned(), "80".to_owned()][..]));
        assert_eq!(all[1].block[0].value(), Ok("2"));
        assert_eq!(all[1].block[1].block[0].words, ["path", "/a b"]);
        assert_eq!(all[2].block[0].line, 7);
    }

    #[test]
    fn a_word_may_have_braces_and_quotes_in_it() {
        let all =
            read("url{ path /a?b={c}\n p \"/{d\" }\nx 80{}\nm \"a \\\" {b\" 'c d'\ny a\"b c\"d\n").unwrap();
        assert_eq!(all[0].block[0].words, ["path", "/a?b={c}"]);
        assert_eq!(all[0].block[1].words, ["p", "/{d"]);
        assert_eq!((&*all[1].words, all[1].block.len()), (&["x".to_owned(), "80".to_owned()][..], 0));
        assert_eq!(all[2].words, ["m", "a \\\" {b", "'c", "d'"]);
        assert_eq!(all[2].text, "m \"a \\\" {b\" 'c d'");
        assert_eq!((&*all[3].words[2], &*all[3].text), ("b c", "y a\"b c\"d"));
    }

    #[test]
    fn braces_and_quotes_are_closed() {
        assert_eq!(read("a {\n").unwrap_err().1, "`}` is missing at the end");
        assert_eq!(read("a\n}\n").unwrap_err(), (1, "`}` without `{`".to_owned()));
        assert_eq!(read("a \"b\n").unwrap_err(), (0, "a quote is not closed".to_owned()));
        assert!(read("a b \\\n c").unwrap_err().1.starts_with("only definitions"));
        assert!(read("}").is_err() && read("{}").is_err());
    }
}
