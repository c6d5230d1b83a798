//! TLS to a server whose certificate does not matter: the check asks whether it answers, and tells it nothing.

use super::trouble::Trouble;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// TLS over a connection to `address`; the server is told the name `host` (SNI), if there is one.
pub(super) async fn over(
    stream: TcpStream,
    address: IpAddr,
    host: Option<&str>,
) -> Result<TlsStream<TcpStream>, Trouble> {
    let named = host.and_then(|host| ServerName::try_from(host.to_owned()).ok());
    let name = named.unwrap_or_else(|| ServerName::IpAddress(address.into()));
    let handshake = TlsConnector::from(configuration()?).connect(name, stream).await;
    handshake.map_err(|error| match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
        Some(error) => Trouble::protocol("TLS", error),
        None => Trouble::network(&error),
    })
}

/// The same for all checks.
fn configuration() -> Result<Arc<ClientConfig>, Trouble> {
    static MADE: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Unverified(Arc::clone(&provider)));
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?.dangerous();
        Ok(Arc::new(builder.with_custom_certificate_verifier(verifier).with_no_client_auth()))
    });
    made.clone().map_err(|error| Trouble::Unable(format!("no TLS: {error}")))
}

/// Takes any certificate.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
