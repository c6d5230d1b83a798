//! Checks `control`.

use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use std::path::PathBuf;

/// Bytes in the path of a unix socket, at most: `sun_path` of unix(7), without its final zero.
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn validate(raw: raw::Control, path: &Path, findings: &mut Findings) -> Option<PathBuf> {
    let length = raw.socket.len();
    let (message, hint) = if length == 0 || raw.socket.ends_with('/') || raw.socket.contains('\0') {
        (format!("`{}` is not a path of a file", raw.socket), "for example `/run/weir/weir.sock`")
    } else if length > SOCKET_PATH_MAX {
        (
            format!("the path of a unix socket has {SOCKET_PATH_MAX} bytes at most, this one {length}"),
            "choose a shorter one, for example `/run/weir/weir.sock`",
        )
    } else {
        return Some(PathBuf::from(raw.socket));
    };
    findings.error(Target::Value(path.key("socket")), message, hint.to_owned());
    None
}
