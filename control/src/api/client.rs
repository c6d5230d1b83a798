//! The command line's end of the control socket.

use super::{Refusal, RefusalKind};
use crate::Failure;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// A gateway that has not answered by then is in trouble. A reload of a million routes takes half a minute.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no gateway answers on {}: {error}; is `weir run` up, with this `control.socket`?", .socket.display())]
    Unreachable {
        /// The socket's path.
        socket: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// This user may not.
    #[error("{} is not for this user: use sudo, or the user that the gateway runs as", .0.display())]
    Forbidden(PathBuf),
    /// It stopped while it was followed.
    #[error("the gateway on {} stopped", .0.display())]
    Ended(PathBuf),
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
            .unwrap_or_else(|_| Err(self.late()))
    }

    /// Asks for an answer that does not end, and hands each line of it to `each` until that has enough.
    ///
    /// # Errors
    /// See [`ClientError`]; the end of the answer is one.
    pub fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
        mut each: impl FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| self.garbled(error))?;
        runtime.block_on(async {
            let answer = tokio::time::timeout(TIMEOUT, self.send(Method::GET, path)).await;
            let mut body = answer.unwrap_or_else(|_| Err(self.late()))?;
            let mut pending = Vec::new();
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { break };
                pending.extend_from_slice(&frame.into_data().unwrap_or_default());
                let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else { continue };
                let rest = pending.split_off(end + 1);
                for line in serde_json::Deserializer::from_slice(&pending).into_iter() {
                    if each(line.map_err(|error| self.garbled(error))?).is_break() {
                        return Ok(());
                    }
                }
                pending = rest;
            }
            Err(ClientError::Ended(self.socket.clone()))
        })
    }

    async fn exchange<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, ClientError> {
        let body = self.send(method, path).await?;
        let body = body.collect().await.map_err(|error| self.garbled(error))?.to_bytes();
        serde_json::from_slice(&body).map_err(|error| self.garbled(error))
    }

    /// The body of an answer that is no refusal.
    async fn send(&self, method: Method, path: &str) -> Result<Incoming, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Forbidden(self.socket.clone()),
            _ => ClientError::Unreachable { socket: self.socket.clone(), error },
        })?;
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
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let body = response.into_body().collect().await.map_err(|error| self.garbled(error))?.to_bytes();
        let refusal: Refusal = serde_json::from_slice(&body).map_err(|error| self.garbled(error))?;
        Err(refusal.into())
    }

    fn late(&self) -> ClientError {
        self.garbled(format!("none within {} s", TIMEOUT.as_secs()))
    }

    fn garbled(&self, reason: impl ToString) -> ClientError {
        ClientError::Garbled { socket: self.socket.clone(), reason: reason.to_string() }
    }
}
