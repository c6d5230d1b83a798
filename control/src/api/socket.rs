//! The socket file: claimed by one gateway, given up when that gateway ends.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Owner and group may talk to the gateway, nobody else.
const MODE: u32 = 0o660;

/// Why a socket path could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another gateway answers there.
    #[error("another gateway is running on {}: stop it, or give this one its own `control.socket`", .0.display())]
    Taken(PathBuf),
    /// Something that is not a socket has that name.
    #[error("{} exists and is not a socket: move it away, or choose another `control.socket`", .0.display())]
    NotASocket(PathBuf),
    /// The file system says no.
    #[error("cannot create the control socket {}: {error}; choose a `control.socket` in a directory this user may write to", .path.display())]
    Unwritable {
        /// The path.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

/// A claimed socket path; dropping it removes the file.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl ControlSocket {
    /// Claims `path`, making its directory, but none above that, if need be, and replacing a socket that nobody answers on.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn claim(path: &Path) -> Result<Self, SocketError> {
        let unwritable = |error| SocketError::Unwritable { path: path.to_owned(), error };
        remove_stale(path)?;
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            match fs::create_dir(directory) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unwritable(error)),
                _ => {}
            }
        }
        let listener = UnixListener::bind(path).map_err(unwritable)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(unwritable)?;
        listener.set_nonblocking(true).map_err(unwritable)?;
        Ok(Self { path: path.to_owned(), listener })
    }

    /// A listener on it for the control loop. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // The file may have been taken away by hand; there is nothing left to do then.
        let _ = fs::remove_file(&self.path);
    }
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let unwritable = |error| SocketError::Unwritable { path: path.to_owned(), error };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unwritable(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Taken(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(unwritable)
        }
        Err(error) => Err(unwritable(error)),
    }
}
