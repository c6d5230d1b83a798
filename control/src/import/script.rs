//! The programs of MISC_CHECK, and how keepalived splits their command lines.

use super::checkers::quoted;
use core::iter::Peekable;
use core::net::IpAddr;
use core::str::Chars;

/// A program and its arguments.
pub(super) type Command = Vec<String>;

/// The program and the arguments of `misc_path`, and the words that keepalived leaves out.
///
/// The line is split into words, then the second of them; there a backslash means what it does to the shell's `$'…'`.
pub(super) fn command(line: &str) -> Result<(Command, Vec<String>), String> {
    let mut outer = words(line, false)?.into_iter().skip(1);
    let command = words(&outer.next().unwrap_or_default(), true)?;
    if command.first().is_none_or(|program| !program.starts_with('/')) {
        return Err("`misc_path` is the full path of a program".to_owned());
    }
    Ok((command, outer.collect()))
}

/// The words of a line; blanks in quotes are theirs. A backslash stays, or is taken with what it means.
fn words(line: &str, escapes: bool) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => {
                let next = letters.next().ok_or("a backslash stands at the end")?;
                let word = word.get_or_insert_default();
                if escapes {
                    word.push(escaped(next, &mut letters));
                } else {
                    word.extend(['\\', next]);
                }
            }
            (letter, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// What a letter behind a backslash means.
fn escaped(letter: char, letters: &mut Peekable<Chars<'_>>) -> char {
    match letter {
        'x' => match letters.peek().is_some_and(char::is_ascii_hexdigit) {
            true => byte(letters, 16, 2, 0),
            false => 'x',
        },
        '0'..='7' => byte(letters, 8, 2, letter.to_digit(8).unwrap_or_default()),
        'c' => letters.next().map_or('c', |next| char::from(u8::try_from(next).unwrap_or_default() & 0x1f)),
        'a' => '\u{7}',
        'b' => '\u{8}',
        'E' => '\u{1b}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        other => other,
    }
}

/// A byte by its digits, of which the first may be read already.
fn byte(letters: &mut Peekable<Chars<'_>>, base: u32, most: usize, first: u32) -> char {
    let mut number = first;
    for _ in 0..most {
        let Some(digit) = letters.peek().and_then(|next| next.to_digit(base)) else { break };
        number = number * base + digit;
        letters.next();
    }
    char::from(u8::try_from(number & 0xff).unwrap_or_default())
}

/// A command line in which a server's own address and port are left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Vec<Part>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Address,
    Port,
}

impl Template {
    /// What is left of a server's command without its address and port.
    pub(super) fn new(command: &[String], address: IpAddr, port: u16) -> Self {
        Self(command.iter().map(|word| parts(word, address, port)).collect())
    }

    /// Whether the command is the same for all servers.
    pub(super) fn is_plain(&self) -> bool {
        self.0.iter().flatten().all(|part| matches!(part, Part::Text(_)))
    }

    /// The keys of `health`. The shell puts in what it gets behind its arguments: name, address and port.
    pub(super) fn keys(&self) -> Vec<(&'static str, String)> {
        let program = self.0.first().map(|parts| written(parts)).unwrap_or_default();
        let words: Vec<String> = self.0.iter().skip(1).map(|parts| written(parts)).collect();
        let call = ["exec".to_owned(), program].into_iter().chain(words).collect::<Vec<_>>().join(" ");
        let arguments = ["-c", &call, "check"].map(quoted).join(", ");
        vec![
            ("check", "script".to_owned()),
            ("program", quoted("/bin/sh")),
            ("arguments", format!("[{arguments}]")),
        ]
    }
}

/// The keys of `health` for a command as it is.
pub(super) fn keys(command: &[String]) -> Vec<(&'static str, String)> {
    let mut keys = vec![("check", "script".to_owned())];
    if let [program, arguments @ ..] = command {
        keys.push(("program", quoted(program)));
        if !arguments.is_empty() {
            let arguments: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
            keys.push(("arguments", format!("[{}]", arguments.join(", "))));
        }
    }
    keys
}

/// A word with the address open, wherever it stands by itself, and the port, if it is the word or behind the address.
fn parts(word: &str, address: IpAddr, port: u16) -> Vec<Part> {
    if port != 0 && word == port.to_string() {
        return vec![Part::Port];
    }
    let (name, mut parts, mut text, mut rest) = (address.to_string(), Vec::new(), String::new(), word);
    let goes_on = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
    let goes_on = |letter: char| goes_on(letter) || letter == ':' && address.is_ipv6();
    while let Some((before, from)) = rest.find(&name).and_then(|at| rest.split_at_checked(at)) {
        let behind = from.get(name.len()..).unwrap_or_default();
        text += before;
        if text.ends_with(goes_on) || behind.starts_with(goes_on) {
            text += &name;
        } else {
            parts.push(Part::Text(core::mem::take(&mut text)));
            parts.push(Part::Address);
        }
        rest = behind;
    }
    text += rest;
    match text.strip_suffix(&format!(":{port}")) {
        Some(before) if port != 0 && parts.last() == Some(&Part::Address) && matches!(before, "" | "]") => {
            parts.extend([Part::Text(format!("{before}:")), Part::Port]);
        }
        _ => parts.push(Part::Text(text)),
    }
    parts.retain(|part| *part != Part::Text(String::new()));
    parts
}

/// A word for the shell.
fn written(parts: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => format!("'{}'", text.replace('\'', r"'\''")),
        Part::Address => "\"$2\"".to_owned(),
        Part::Port => "\"$3\"".to_owned(),
    };
    if parts.is_empty() { "''".to_owned() } else { parts.iter().map(part).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_keepalived_does() {
        for (line, expected, left) in [
            (r#"misc_path "/bin/a b 'c d' e""#, vec!["/bin/a", "b", "c d", "e"], vec![]),
            ("misc_path /bin/a b c", vec!["/bin/a"], vec!["b", "c"]),
            (r#"misc_path "/bin/a it\'s \x41\102\t""#, vec!["/bin/a", "it's", "AB\t"], vec![]),
            (r#"misc_path '/bin/a "b c"' d"#, vec!["/bin/a", "b c"], vec!["d"]),
            (r#"misc_path "/bin/a "'b c'"#, vec!["/bin/a", "b", "c"], vec![]),
        ] {
            let (command, rest) = command(line).unwrap();
            assert_eq!(
                (command, rest),
                (
                    expected.iter().map(ToString::to_string).collect(),
                    left.iter().map(ToString::to_string).collect::<Vec<_>>()
                ),
                "{line}"
            );
        }
        for wrong in ["misc_path", "misc_path a", r#"misc_path "/a it's""#, r#"misc_path "/a"#] {
            assert!(command(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_that_stand_by_themselves_are_left_open() {
        let template = |words: &[&str], address: &str| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            Template::new(&words, address.parse().unwrap(), 80)
        };
        let first = template(&["/c", "10.0.0.1", "80", "http://10.0.0.1:80", "it's"], "10.0.0.1");
        assert_eq!(first, template(&["/c", "10.0.0.12", "80", "http://10.0.0.12:80", "it's"], "10.0.0.12"));
        let call = r#"['-c', 'exec ''/c'' "$2" "$3" ''http://''"$2"'':''"$3" ''it''\''''s''', 'check']"#;
        assert_eq!(first.keys()[2], ("arguments", call.to_owned()));
        assert!(template(&["/c", "10.0.0.12", "110.0.0.1", "x10.0.0.1"], "10.0.0.1").is_plain());
        assert!(template(&["/c", "2001:db8::12"], "2001:db8::1").is_plain());
        assert!(!template(&["/c", "[2001:db8::1]:80"], "2001:db8::1").is_plain());
        assert_ne!(template(&["/c", "10.0.0.1"], "10.0.0.1"), template(&["/d", "10.0.0.2"], "10.0.0.2"));
    }
}
