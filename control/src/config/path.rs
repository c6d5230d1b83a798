//! Where a value stands in the configuration, whatever the file looks like.

use core::fmt;

/// A JSON Pointer (RFC 6901): `/ports/0/mtu`. The root is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(String);

impl Path {
    pub(super) const fn root() -> Self {
        Self(String::new())
    }

    /// From the text of a pointer.
    pub(super) fn new(pointer: &str) -> Self {
        Self(pointer.to_owned())
    }

    /// The value of a key below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        Self(format!("{}/{}", self.0, key.replace('~', "~0").replace('/', "~1")))
    }

    /// The item of a list below this one.
    pub(super) fn item(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// What this one stands in; the root stands in itself.
    pub(super) fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map_or_else(String::new, |(parent, _)| parent.to_owned()))
    }

    /// Its last step: a key, or a position in a list.
    pub(super) fn last(&self) -> Option<String> {
        self.steps().last()
    }

    /// Whether it is an item of a list.
    pub(super) fn is_item(&self) -> bool {
        self.last().is_some_and(|step| is_position(&step))
    }

    /// From the root down.
    pub(super) fn steps(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"))
    }

    /// Whether `other` is this value or stands in it.
    pub(super) fn contains(&self, other: &Self) -> bool {
        other.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A step that stands for every item of a list.
pub(super) const ANY_ITEM: &str = "-";

fn is_position(step: &str) -> bool {
    !step.is_empty() && step.chars().all(|c| c.is_ascii_digit())
}

/// As an operator would write it: `ports[0].mtu`, positions from 0.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps().enumerate() {
            if is_position(&step) {
                write!(f, "[{step}]")?;
            } else if step == ANY_ITEM {
                f.write_str("[]")?;
            } else {
                let dot = if i == 0 { "" } else { "." };
                write!(f, "{dot}{step}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_pointer_for_machines_and_dotted_for_people() {
        let path = Path::root().key("ports").item(2).key("a/b~c");
        assert_eq!(path.as_str(), "/ports/2/a~1b~0c");
        assert_eq!(path.to_string(), "ports[2].a/b~c");
        assert_eq!(path.last().unwrap(), "a/b~c");
        assert_eq!(Path::root().key("ports").key(ANY_ITEM).key("mtu").to_string(), "ports[].mtu");
        assert_eq!(path.parent(), Path::new("/ports/2"));
        assert_eq!(Path::root().parent(), Path::root());
    }

    #[test]
    fn a_path_contains_what_is_below_it() {
        let port = Path::new("/ports/1");
        assert!(port.contains(&port) && port.contains(&port.key("mtu")) && Path::root().contains(&port));
        assert!(!port.contains(&Path::new("/ports/10")));
    }
}
