//! Servers of all kinds, each a task on a port of loopback that ends with the runtime.

use super::LOCAL;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

/// What a server does with a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    /// Hears the request, then says this and closes.
    Says(&'static str),
    /// The same after a while.
    Slowly(Duration, &'static str),
    /// A byte of this every 50 ms, for ever.
    Drips(u8),
    /// A page of so many bytes of `x`, and then this.
    Long(usize, &'static str),
    /// Accepts and says nothing.
    Silent,
    /// Ends the connection at once.
    Closes,
    /// Resets the connection when the request is there.
    Resets,
}

/// The port of a TCP server.
pub(super) async fn tcp(manner: Manner) -> u16 {
    let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, manner));
        }
    });
    port
}

/// A port at which nobody listens.
pub(super) async fn nobody() -> u16 {
    TcpListener::bind((LOCAL, 0)).await.unwrap().local_addr().unwrap().port()
}

async fn serve(mut client: TcpStream, manner: Manner) {
    match manner {
        Manner::Silent => tokio::time::sleep(Duration::from_secs(60)).await,
        Manner::Closes => {}
        _ => {
            heard(&mut client).await;
            if matches!(manner, Manner::Resets) {
                client.set_zero_linger().unwrap();
                return;
            }
            let _ = speak(&mut client, manner).await;
        }
    }
}

/// Reads one request.
async fn heard(client: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && client.read_buf(&mut request).await.is_ok_and(|len| len > 0) {}
}

async fn speak(client: &mut (impl AsyncWrite + Unpin), manner: Manner) -> std::io::Result<()> {
    match manner {
        Manner::Says(answer) => client.write_all(answer.as_bytes()).await?,
        Manner::Slowly(after, answer) => {
            tokio::time::sleep(after).await;
            client.write_all(answer.as_bytes()).await?;
        }
        Manner::Drips(byte) => loop {
            client.write_all(&[byte]).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        },
        Manner::Long(len, end) => {
            let page = "x".repeat(len) + end;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", page.len());
            client.write_all((head + &page).as_bytes()).await?;
        }
        Manner::Silent | Manner::Closes | Manner::Resets => {}
    }
    client.shutdown().await
}

/// The port of a server that says `answer` over one version of TLS, with a certificate of its own making.
pub(super) async fn tls(version: &'static SupportedProtocolVersion, answer: &'static str) -> u16 {
    let made = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                heard(&mut client).await;
                let _ = speak(&mut client, Manner::Says(answer)).await;
            });
        }
    });
    port
}

/// The port of a UDP server that answers each datagram with what `answer` makes of it.
pub(super) async fn udp(answer: fn(&[u8]) -> Vec<u8>) -> u16 {
    let socket = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut question).await {
            let _ = socket.send_to(&answer(&question[..len]), from).await;
        }
    });
    port
}
