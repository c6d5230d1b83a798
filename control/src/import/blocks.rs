//! The syntax of keepalived.conf: statements of words, with blocks in braces.

/// A statement: its words, and what stands in braces behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its line, from 1.
    pub(super) line: usize,
    /// Its words, without quotes; at least one.
    pub(super) words: Vec<String>,
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

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    Open,
    Close,
    EndOfLine,
}

/// Reads a file. A line that cannot be read is an error with its number.
pub(super) fn read(text: &str) -> Result<Vec<Statement>, (usize, String)> {
    let mut open: Vec<Vec<Statement>> = vec![Vec::new()];
    // The statement whose words are being read.
    let mut current = Statement::default();
    let mut last = 0;
    for (i, line) in text.lines().enumerate() {
        let line_number = i + 1;
        last = line_number;
        for piece in pieces(line).map_err(|message| (line_number, message))? {
            match piece {
                Piece::Word(word) => {
                    if current.words.is_empty() {
                        current.line = line_number;
                    }
                    current.words.push(word);
                }
                Piece::Open => {
                    finish(&mut current, &mut open);
                    open.push(Vec::new());
                }
                Piece::Close => {
                    finish(&mut current, &mut open);
                    let block = open.pop().unwrap_or_default();
                    let owner = open.last_mut().and_then(|around| around.last_mut());
                    let owner = owner.ok_or_else(|| (line_number, "`}` without `{`".to_owned()))?;
                    owner.block.extend(block);
                }
                Piece::EndOfLine => finish(&mut current, &mut open),
            }
        }
    }
    match open.pop() {
        Some(all) if open.is_empty() => Ok(all),
        _ => Err((last, "`}` is missing at the end".to_owned())),
    }
}

fn finish(current: &mut Statement, open: &mut [Vec<Statement>]) {
    if !current.words.is_empty()
        && let Some(around) = open.last_mut()
    {
        around.push(core::mem::take(current));
    }
}

fn pieces(line: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '#' | '!' => break,
            '{' => pieces.push(Piece::Open),
            '}' => pieces.push(Piece::Close),
            '"' | '\'' => {
                let word: String = letters.by_ref().take_while(|next| *next != letter).collect();
                let is_closed = line.matches(letter).count().is_multiple_of(2);
                if !is_closed {
                    return Err("a quote is not closed".to_owned());
                }
                pieces.push(Piece::Word(word));
            }
            _ if letter.is_whitespace() => {}
            _ => {
                let mut word = String::from(letter);
                while let Some(next) = letters.next_if(|next| !next.is_whitespace() && !"{}".contains(*next))
                {
                    word.push(next);
                }
                pieces.push(Piece::Word(word));
            }
        }
    }
    pieces.push(Piece::EndOfLine);
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_words_and_a_block() {
        let text = "# a comment\nglobal { }\nserver 10.0.0.1 80 { # here\n  weight 2\n  url { path \"/a b\" }\n}\nlast\n{\n  x\n}\n";
        let all = read(text).unwrap();
        let names: Vec<&str> = all.iter().map(Statement::name).collect();
        assert_eq!(names, ["global", "server", "last"]);
        assert_eq!((all[1].line, all[1].values()), (3, &["10.0.0.1".to_owned(), "80".to_owned()][..]));
        assert_eq!(all[1].block[0].value(), Ok("2"));
        assert_eq!(all[1].block[1].block[0].words, ["path", "/a b"]);
        assert_eq!(all[2].block[0].line, 9);
    }

    #[test]
    fn braces_and_quotes_are_closed() {
        assert_eq!(read("a {\n").unwrap_err().1, "`}` is missing at the end");
        assert_eq!(read("a\n}\n").unwrap_err(), (2, "`}` without `{`".to_owned()));
        assert_eq!(read("a \"b\n").unwrap_err(), (1, "a quote is not closed".to_owned()));
        assert!(read("}").is_err() && read("{}").is_err());
    }
}
