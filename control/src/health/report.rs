//! What a node of a pool says of its load: one line of text.
//!
//! `weir-load 1 POOL NODE LOAD`: the word, the version of the format, the names of pool and node as the configuration
//! has them, and the load, a decimal number of 32 bits. The parts are parted by one space; a line feed may end the line.

use std::fmt;

/// A report is no longer than this, in bytes.
pub const REPORT_MAX: usize = 512;

/// A node's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// The pool's name.
    pub pool: &'a str,
    /// The node's name.
    pub node: &'a str,
    /// How much it has to do, in its own measure; a connection adds the node's cost to it.
    pub load: u32,
}

/// Why a report is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It is too long.
    #[error("a report has {REPORT_MAX} bytes at most")]
    Long,
    /// It is not of this form.
    #[error("a report is one line: `weir-load 1 POOL NODE LOAD`")]
    Form,
    /// Its load is no number of 32 bits.
    #[error("a load is a decimal number up to {}", u32::MAX)]
    Load,
}

impl<'a> Report<'a> {
    /// Reads a report.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ReportError> {
        if bytes.len() > REPORT_MAX {
            return Err(ReportError::Long);
        }
        let text = str::from_utf8(bytes).map_err(|_| ReportError::Form)?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        let mut parts = line.split(' ');
        let (Some("weir-load"), Some("1"), Some(pool), Some(node), Some(load), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ReportError::Form);
        };
        let is_name = |name: &str| !name.is_empty() && !name.chars().any(char::is_control);
        if !is_name(pool) || !is_name(node) {
            return Err(ReportError::Form);
        }
        // A sign is no digit.
        let digits = load.bytes().all(|byte| byte.is_ascii_digit());
        let load = load.parse().ok().filter(|_| digits).ok_or(ReportError::Load)?;
        Ok(Self { pool, node, load })
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weir-load 1 {} {} {}", self.pool, self.node, self.load)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_report_is_one_line() {
        let report = Report { pool: "front", node: "a", load: 42 };
        assert_eq!(Report::parse(b"weir-load 1 front a 42"), Ok(report));
        assert_eq!(Report::parse(b"weir-load 1 front a 42\n"), Ok(report));
        assert_eq!(Report::parse(b"weir-load 1 front a 4294967295").unwrap().load, u32::MAX);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let long = [b"weir-load 1 front a ".as_slice(), &[b'0'; REPORT_MAX]].concat();
        assert_eq!(Report::parse(&long), Err(ReportError::Long));
        for text in [
            "",
            "\n",
            "weir-load",
            "weir-load 2 front a 42",
            "weir-load 1 front a",
            "weir-load 1 front a 42 ",
            "weir-load 1 front a 42 43",
            "weir-load 1  front a 42",
            "weir-load 1 front  42",
            "weir-load 1 fro\nnt a 42",
            "WEIR-LOAD 1 front a 42",
        ] {
            assert_eq!(Report::parse(text.as_bytes()), Err(ReportError::Form), "{text:?}");
        }
        for load in ["", "-1", "+1", "1.5", "0x1", "4294967296", "42\n", "42\r"] {
            let text = format!("weir-load 1 front a {load}\n");
            assert_eq!(Report::parse(text.as_bytes()), Err(ReportError::Load), "{text:?}");
        }
        assert_eq!(Report::parse(b"weir-load 1 front \xff 42"), Err(ReportError::Form));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Report::parse(&bytes);
        }

        /// What is read is what was written, byte by byte, but for the line feed and zeros before the number.
        #[test]
        fn nearly_reports_are_read_as_written(
            text in "(weir-load|weir-loa)( |  )[12]( |  )[a-z\u{e9}]{0,3} [a-z]{0,3} [0-9+-]{0,11}\n{0,2}"
        ) {
            if let Ok(report) = Report::parse(text.as_bytes()) {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let (rest, load) = line.rsplit_once(' ').unwrap();
                let zeros = load.trim_start_matches('0');
                let load = if zeros.is_empty() { "0" } else { zeros };
                prop_assert_eq!(report.to_string(), format!("{rest} {load}"));
            }
        }

        #[test]
        fn a_report_survives_the_wire(pool in "[!-~]{1,60}", node in "[!-~]{1,60}", load: u32) {
            let report = Report { pool: &pool, node: &node, load };
            let text = report.to_string();
            prop_assert_eq!(Report::parse(text.as_bytes()), Ok(report));
        }
    }
}
