//! A page, over HTTP/1.1 or the same over TLS. Redirections are not followed: their status is the answer.

use super::socket::Way;
use super::tls;
use super::trouble::Trouble;
use crate::health::Failure;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// So much of a page is read, in bytes.
const BODY_MAX: usize = 64 * 1024;

/// Which page.
#[derive(Clone, Copy, Debug)]
pub(in crate::runtime) struct Page<'a> {
    /// Over TLS; the certificate does not matter.
    pub(in crate::runtime) tls: bool,
    pub(in crate::runtime) port: u16,
    pub(in crate::runtime) path: &'a str,
    /// `None`: the server's address.
    pub(in crate::runtime) host: Option<&'a str>,
}

/// Asks for `page`, whose status is to be one of `status`, and which is to contain `text`.
pub(super) async fn check(
    way: Way<'_>,
    page: Page<'_>,
    status: &RangeInclusive<u16>,
    text: Option<&str>,
) -> Result<(), Trouble> {
    let text = text.map(str::as_bytes);
    let (answered, body) = read(way, page, text).await?;
    if !status.contains(&answered) {
        return Err(Failure::Status(answered).into());
    }
    if text.is_none_or(|text| contains(&body, text)) { Ok(()) } else { Err(Failure::Body.into()) }
}

/// What stands on `page`, as far as it is read.
pub(in crate::runtime) async fn fetch(way: Way<'_>, page: Page<'_>) -> Result<Vec<u8>, Trouble> {
    match read(way, page, Some(&[])).await? {
        (200, body) => Ok(body),
        (status, _) => Err(Failure::Status(status).into()),
    }
}

/// The status of a page and, unless no `text` is wanted of it, what stands there.
async fn read(way: Way<'_>, page: Page<'_>, text: Option<&[u8]>) -> Result<(u16, Vec<u8>), Trouble> {
    let host = page.host.map_or_else(|| written(way.address), str::to_owned);
    let default_port = if page.tls { 443 } else { 80 };
    let authority = if page.port == default_port { host.clone() } else { format!("{host}:{}", page.port) };
    let request = Request::builder()
        .uri(page.path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, concat!("weir/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| Trouble::Unable(format!("{} of {host} is no page: {error}", page.path)))?;
    let stream = way.connect(page.port).await?;
    if page.tls {
        exchange(tls::over(stream, way.address, page.host).await?, request, text).await
    } else {
        exchange(stream, request, text).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Empty<Bytes>>,
    text: Option<&[u8]>,
) -> Result<(u16, Vec<u8>), Trouble> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| trouble(&error))?;
    let mut answer = pin!(async {
        let response = sender.send_request(request).await.map_err(|error| trouble(&error))?;
        let status = response.status().as_u16();
        Ok((status, if text.is_some() { body(response, text).await? } else { Vec::new() }))
    });
    // Nothing is left running when the check is ended. What has been read before the connection ends still counts.
    tokio::select! {
        answer = &mut answer => return answer,
        _ = connection => {}
    }
    answer.await
}

/// What stands on the page, up to `text` or to what is read at most.
async fn body(mut response: Response<Incoming>, text: Option<&[u8]>) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(frame) = response.frame().await {
        let frame = frame.map_err(|error| trouble(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        let searched = body.len();
        body.extend_from_slice(&data[..data.len().min(BODY_MAX - searched)]);
        let is_found = text.is_some_and(|text| !text.is_empty() && has_come(&body, searched, text));
        if is_found || body.len() == BODY_MAX {
            break;
        }
    }
    Ok(body)
}

/// Whether `text` ends in what of the page comes after its first `searched` bytes.
fn has_come(body: &[u8], searched: usize, text: &[u8]) -> bool {
    contains(&body[searched.saturating_sub(text.len() - 1)..], text)
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// An address as URLs have it (RFC 3986 3.2.2).
fn written(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn trouble(error: &hyper::Error) -> Trouble {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Failure::Closed.into();
    }
    Trouble::protocol("HTTP", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_come_is_searched_and_the_border_with_what_was_there() {
        assert!(has_come(b"hello", 0, b"hello"));
        assert!(has_come(b"hello", 4, b"hello"), "its last letter has come");
        assert!(has_come(b"hello", 4, b"o"));
        assert!(!has_come(b"hello", 4, b"hell"), "that was searched before");
        assert!(!has_come(b"hello", 5, b"o"));
    }
}
