//! Values on the command line whose mistakes are told in the words of the rest.

use core::net::IpAddr;
use weir_dataplane::units::BUCKETS_MAX;

/// An IP address.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "not an IP address; for example `192.0.2.80` or `2001:db8::80`".to_owned())
}

/// A bucket's number, or a node's of Linux.
pub(super) fn bucket(text: &str) -> Result<u16, String> {
    let number = text.parse::<u16>().ok().filter(|number| (1..=BUCKETS_MAX).contains(&usize::from(*number)));
    number.ok_or_else(|| format!("a number from 1 to {BUCKETS_MAX} is wanted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_is_told_what_is() {
        assert_eq!(
            address("10.0"),
            Err("not an IP address; for example `192.0.2.80` or `2001:db8::80`".to_owned())
        );
        assert_eq!(bucket("1"), Ok(1));
        for wrong in ["0", "-1", "two", "65536"] {
            assert!(bucket(wrong).unwrap_err().starts_with("a number from 1 to "), "{wrong}");
        }
    }
}
