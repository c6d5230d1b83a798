//! The command line's end of the control socket.

use super::{Refusal, RefusalKind};
use crate::Failure;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// A gateway that has not answered by then is in trouble.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or this user may not.
    #[error("no gateway answers on {}: {error}; is `weir run` up, with this `control.socket`?", .socket.display())]
    Unreachable {
        /// The socket's path.
        socket: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The gateway said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It answered in a way this version does not understand, or too late.
    #[error("the gateway on {} gave no usable answer: {reason}", .socket.display())]
    Garbled {
        /// The socket's path.
        socket: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Refused(refusal) if refusal.kind == RefusalKind::Configuration => {
                Self::configuration(error)
            }
            _ => Self::runtime(error),
        }
    }
}

/// One gateway's socket.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the gateway that listens on `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn request<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| self.garbled(error))?;
        runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, self.exchange(method, path)).await })
            .unwrap_or_else(|_| Err(self.garbled(format!("none within {} s", TIMEOUT.as_secs()))))
    }

    async fn exchange<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| ClientError::Unreachable { socket: self.socket.clone(), error })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.garbled(error))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "weir")
            .body(Empty::<Bytes>::new())
            .map_err(|error| self.garbled(error))?;
        let response = sender.send_request(request).await.map_err(|error| self.garbled(error))?;
        let accepted = response.status().is_success();
        let body = response.into_body().collect().await.map_err(|error| self.garbled(error))?.to_bytes();
        if accepted {
            serde_json::from_slice(&body).map_err(|error| self.garbled(error))
        } else {
            let refusal: Refusal = serde_json::from_slice(&body).map_err(|error| self.garbled(error))?;
            Err(refusal.into())
        }
    }

    fn garbled(&self, reason: impl ToString) -> ClientError {
        ClientError::Garbled { socket: self.socket.clone(), reason: reason.to_string() }
    }
}
