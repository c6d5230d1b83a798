//! keepalived's checkers, as `health` of a service.

use super::blocks::Statement;
use super::combined::left_out;
use super::script::{self, Command};
use super::services::number;

/// Times and counts of checks, which a virtual server says for its real servers, and these for their checkers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timing {
    interval_s: f64,
    timeout_s: f64,
    /// More tries before a server counts as dead; `None`: as many as are usual for the checker.
    retry: Option<u32>,
}

impl Default for Timing {
    fn default() -> Self {
        Self { interval_s: 60.0, timeout_s: 5.0, retry: None }
    }
}

impl Timing {
    /// Takes what is said of times; whether it is.
    pub(super) fn take(&mut self, statement: &Statement) -> Result<bool, String> {
        match statement.name() {
            "delay_loop" => self.interval_s = seconds(statement)?,
            "connect_timeout" => self.timeout_s = seconds(statement)?,
            "retry" | "nb_get_retry" => self.retry = Some(number(statement.value()?)?),
            "delay_before_retry" | "warmup" => drop(seconds(statement)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn seconds(statement: &Statement) -> Result<f64, String> {
    let text = statement.value()?;
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=21_000_000.0).contains(seconds));
    seconds.ok_or_else(|| format!("`{text}` is not a number of seconds"))
}

/// A time as times are counted here, in seconds.
fn of_the_clock(seconds: f64) -> f64 {
    ((seconds * 100.0).round() / 100.0).max(0.01)
}

/// What is asked of a server, as keys of `health`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Health {
    /// What; of a program nothing but that.
    pub(super) asked: Vec<(&'static str, String)>,
    /// The program.
    pub(super) script: Option<Command>,
    /// When, and how often.
    pub(super) times: Vec<(&'static str, String)>,
    /// What is different, or is not carried over.
    pub(super) notes: Vec<String>,
}

/// The names of all checkers.
pub(super) fn is_checker(name: &str) -> bool {
    name.ends_with("_CHECK") || matches!(name, "HTTP_GET" | "SSL_GET")
}

/// The `health` that a checker of a server with this port comes to; `None`: there is none of its kind.
pub(super) fn health(
    checker: &Statement,
    timing: Timing,
    virtual_host: Option<&str>,
    server_port: u16,
) -> Result<Option<Health>, (usize, String)> {
    let mut read = Read { timing, port: None, health: Health::default() };
    match checker.name() {
        "TCP_CHECK" => read.plain(checker, "tcp", 1, server_port),
        "PING_CHECK" => read.plain(checker, "icmp", 1, 0),
        "SMTP_CHECK" => {
            read.note("SMTP_CHECK: here it is enough that a server accepts the connection.");
            let port = if server_port == 0 { 25 } else { server_port };
            read.plain(checker, "tcp", 1, port)
        }
        "HTTP_GET" => read.http(checker, "http", virtual_host, server_port),
        "SSL_GET" => read.http(checker, "https", virtual_host, server_port),
        "DNS_CHECK" => read.dns(checker),
        "MISC_CHECK" => read.script(checker),
        _ => return Ok(None),
    }
    .map(|()| Some(read.health))
}

/// A checker that is being read.
struct Read {
    timing: Timing,
    port: Option<u32>,
    health: Health,
}

impl Read {
    fn note(&mut self, text: &str) {
        self.health.notes.push(text.to_owned());
    }

    fn key(&mut self, key: &'static str, value: impl ToString) {
        self.health.asked.push((key, value.to_string()));
    }

    /// Takes what all checkers have; what they have not is `own`'s, which says whether it is understood.
    fn each(
        &mut self,
        checker: &Statement,
        mut own: impl FnMut(&mut Self, &Statement) -> Result<bool, String>,
    ) -> Result<(), (usize, String)> {
        for statement in &checker.block {
            let at = |message| (statement.line, message);
            let note = left_out(statement.name());
            if self.timing.take(statement).map_err(at)? || own(self, statement).map_err(at)? {
                self.health.notes.extend(note);
                continue;
            }
            match statement.name() {
                _ if note.is_some() => self.health.notes.extend(note),
                "connect_port" => {
                    let port = statement.value().and_then(number).map_err(at)?;
                    self.port = Some(port);
                }
                name @ ("connect_ip" | "bindto" | "bind_if" | "bind_port" | "fwmark" | "alpha"
                | "log_all_failures") => {
                    self.health.notes.push(format!("`{name}` of {} is not carried over.", checker.name()));
                }
                name => return Err((statement.line, format!("`{name}` is not understood"))),
            }
        }
        Ok(())
    }

    /// Adds times and counts; `retry`: as many more tries as are usual.
    fn times(&mut self, retry: u32) {
        let Timing { interval_s, timeout_s, retry: said } = self.timing;
        let (interval_s, timeout_s) = (of_the_clock(interval_s), of_the_clock(timeout_s));
        if timeout_s > interval_s {
            self.note(&format!("An answer counted for {timeout_s} s: here for `interval_s` at most."));
        }
        let times = [
            ("interval_s", interval_s.to_string()),
            ("timeout_s", timeout_s.min(interval_s).to_string()),
            ("rise", "1".to_owned()),
            ("fall", said.unwrap_or(retry).saturating_add(1).min(1000).to_string()),
        ];
        self.health.times.extend(times);
    }

    fn plain(
        &mut self,
        checker: &Statement,
        check: &str,
        retry: u32,
        port: u16,
    ) -> Result<(), (usize, String)> {
        self.each(checker, |read, statement| match statement.name() {
            "helo_name" => {
                read.note("`helo_name` is not carried over.");
                Ok(true)
            }
            _ => Ok(false),
        })?;
        self.key("check", check);
        let port = self.port.unwrap_or_else(|| port.into());
        if check != "icmp" && port != 0 {
            self.key("port", port);
        }
        self.times(retry);
        Ok(())
    }

    fn http(
        &mut self,
        checker: &Statement,
        check: &str,
        virtual_host: Option<&str>,
        server_port: u16,
    ) -> Result<(), (usize, String)> {
        let mut host = virtual_host.map(str::to_owned);
        let (mut path, mut status) = ("/".to_owned(), "200-299".to_owned());
        let mut urls = 0;
        self.each(checker, |read, statement| {
            match statement.name() {
                "virtualhost" => host = Some(statement.value()?.to_owned()),
                "url" => {
                    urls += 1;
                    if urls == 1 {
                        read.url(statement, &mut path, &mut status, &mut host)?;
                    } else {
                        read.note("Of several `url` the first one is asked for.");
                    }
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let usual = if check == "https" { 443 } else { 80 };
        let usual = if server_port == 0 { usual } else { u32::from(server_port) };
        let port = self.port.unwrap_or(usual);
        self.key("check", check);
        self.key("port", port);
        self.key("path", quoted(&path));
        if let Some(host) = host {
            self.key("host", quoted(&host));
        }
        self.key("status", quoted(&status));
        self.times(1);
        Ok(())
    }

    fn url(
        &mut self,
        url: &Statement,
        path: &mut String,
        status: &mut String,
        host: &mut Option<String>,
    ) -> Result<(), String> {
        for statement in &url.block {
            match statement.name() {
                "path" => *path = statement.value()?.to_owned(),
                "virtualhost" => *host = Some(statement.value()?.to_owned()),
                "status_code" => {
                    *status = statement.values().first().ok_or("`status_code` needs a value")?.clone();
                    if statement.values().len() > 1 {
                        self.note("Of several `status_code` the first one is good.");
                    }
                }
                name @ ("digest" | "regex" | "regex_no_match" | "regex_options" | "regex_stack"
                | "regex_min_offset" | "regex_max_offset") => {
                    let note = format!("`{name}` is not carried over: `body` says what a page contains.");
                    self.health.notes.push(note);
                }
                "tls_compliant" => self.health.notes.extend(left_out("tls_compliant")),
                name => return Err(format!("`{name}` is not understood")),
            }
        }
        Ok(())
    }

    fn dns(&mut self, checker: &Statement) -> Result<(), (usize, String)> {
        let mut name = ".".to_owned();
        self.each(checker, |read, statement| {
            match statement.name() {
                "name" => name = statement.value()?.to_owned(),
                "type" => read.note("`type` of DNS_CHECK is not carried over: an address is asked for."),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        self.key("check", "dns");
        self.key("port", self.port.unwrap_or(53));
        self.key("name", quoted(&name));
        self.times(3);
        Ok(())
    }

    fn script(&mut self, checker: &Statement) -> Result<(), (usize, String)> {
        let mut command = None;
        self.each(checker, |read, statement| {
            match statement.name() {
                "misc_path" => {
                    let (found, left) = script::command(&statement.text)?;
                    if !left.is_empty() {
                        let left = left.join(" ");
                        read.note(&format!("`{left}` behind the program is left out, as keepalived does: quotes belong around all."));
                    }
                    command = Some(found);
                }
                "misc_timeout" => read.timing.timeout_s = seconds(statement)?,
                "misc_dynamic" => {
                    read.note("`misc_dynamic` is not carried over: status 0 is good, any other bad.")
                }
                "user" => read.note("`user` is not carried over: the program runs as the gateway does."),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        if command.is_none() {
            return Err((checker.line, "`misc_path` is missing".to_owned()));
        }
        self.health.script = command;
        self.times(0);
        Ok(())
    }
}

/// As YAML's text: in single quotes, which are doubled inside.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
