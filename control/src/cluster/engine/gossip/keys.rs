//! The keys that the nodes of a cluster share, and the file they are kept in.
//!
//! A key is 32 bytes, one a line as 64 hexadecimal digits (`openssl rand -hex 32`); empty lines and lines that begin
//! with `#` mean nothing. The first key seals what is sent, every key opens what is heard. So a key is replaced
//! without a pause: the new one is added as the second on every node, then made the first on every node, then the old
//! one is taken away on every node.

use arrayvec::ArrayVec;
use nix::unistd::Uid;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Two: the one in use, and the one before or after it.
const KEYS_MAX: usize = 2;
/// A file of two keys and a few lines of comment; what is longer is some other file.
const FILE_BYTES_MAX: u64 = 4096;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system says no.
    #[error("cannot read the key file {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is a directory, a device or a pipe.
    #[error("{} is not a plain file: name the file that holds the cluster's key", .0.display())]
    NotAFile(PathBuf),
    /// Others than its owner may read or write it.
    #[error("others may read or write the key file {} (mode {mode:o}): chmod 600 it, and replace the key", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody who is neither root nor the user of this process.
    #[error("the key file {} belongs to user {owner}: chown it to root or to user {user}, who runs the gateway", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this process.
        user: u32,
    },
    /// A line is no key.
    #[error("line {line} of {} is not a key: write 64 hexadecimal digits, as `openssl rand -hex 32` does", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// No key, or more than two.
    #[error("{} holds {keys} keys: write one, or two while a key is replaced", .path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// How many there are.
        keys: usize,
    },
}

/// A secret of 32 bytes. It never shows itself in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the code that computes with them.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn parse(line: &str) -> Option<Self> {
        let digits = line.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit =
                |at: usize| char::from(pair[at]).to_digit(16).and_then(|value| u8::try_from(value).ok());
            *byte = digit(0)? << 4 | digit(1)?;
        }
        Some(Self(bytes))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// One key or two: the first seals, all open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRing(ArrayVec<Key, KEYS_MAX>);

impl KeyRing {
    /// A ring of one key.
    pub fn of(key: Key) -> Self {
        Self(ArrayVec::from_iter([key]))
    }

    /// A ring that seals with the first key and opens with both.
    pub fn of_two(seals: Key, opens: Key) -> Self {
        Self(ArrayVec::from([seals, opens]))
    }

    /// The keys in the file at `path`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |error| KeyError::Unreadable { path: path.to_owned(), error };
        let mut file = File::open(path).map_err(unreadable)?;
        // Of the open file, not of the name: nobody can put another one there in between.
        check_owner(path, &file.metadata().map_err(unreadable)?)?;
        let mut text = String::new();
        file.by_ref().take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// The key to seal with.
    pub(super) fn first(&self) -> &Key {
        &self.0[0]
    }

    /// The keys to open with.
    pub(super) fn all(&self) -> &[Key] {
        &self.0
    }

    fn parse(path: &Path, text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().map(str::trim).enumerate();
        let mut keys = Vec::new();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let malformed = || KeyError::Malformed { path: path.to_owned(), line: index + 1 };
            keys.push(Key::parse(line).ok_or_else(malformed)?);
        }
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(KeyError::Count { path: path.to_owned(), keys: keys.len() });
        }
        Ok(Self(keys.into_iter().collect()))
    }
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), KeyError> {
    let path = path.to_owned();
    if !metadata.is_file() {
        return Err(KeyError::NotAFile(path));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Open { path, mode });
    }
    let (owner, user) = (Uid::from_raw(metadata.uid()), Uid::effective());
    if owner != user && !owner.is_root() {
        return Err(KeyError::Foreign { path, owner: owner.as_raw(), user: user.as_raw() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const ONE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    const TWO: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    fn read(text: &str, mode: u32) -> Result<KeyRing, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        KeyRing::read(file.path())
            .map_err(|error| error.to_string().replace(file.path().to_str().unwrap(), "FILE"))
    }

    #[test]
    fn one_key_or_two_are_read_in_their_order() {
        let one = Key(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        assert_eq!(read(&format!("{ONE}\n"), 0o600), Ok(KeyRing::of(one.clone())));
        let both = format!("# the new one\n{TWO}\n\n  {ONE}");
        assert_eq!(read(&both, 0o400), Ok(KeyRing::of_two(Key([0xff; 32]), one)));
    }

    #[test]
    fn a_wrong_file_is_refused_with_advice() {
        let wrong = [
            ("", 0o600, "FILE holds 0 keys: write one, or two while a key is replaced"),
            (&[ONE; 3].join("\n"), 0o600, "FILE holds 3 keys: write one, or two while a key is replaced"),
            (
                &ONE[1..],
                0o600,
                "line 1 of FILE is not a key: write 64 hexadecimal digits, as `openssl rand -hex 32` does",
            ),
            (
                &format!("#\n{}", ONE.replace('A', "g")),
                0o600,
                "line 2 of FILE is not a key: write 64 hexadecimal digits, as `openssl rand -hex 32` does",
            ),
            (
                ONE,
                0o640,
                "others may read or write the key file FILE (mode 640): chmod 600 it, and replace the key",
            ),
        ];
        for (text, mode, message) in wrong {
            assert_eq!(read(text, mode).unwrap_err(), message);
        }
        assert!(matches!(KeyRing::read(Path::new("/")), Err(KeyError::NotAFile(_))));
        assert!(matches!(KeyRing::read(Path::new("/nowhere/key")), Err(KeyError::Unreadable { .. })));
    }

    #[test]
    fn a_key_never_shows_itself() {
        assert_eq!(format!("{:?}", Key([7; 32])), "Key(…)");
    }
}
