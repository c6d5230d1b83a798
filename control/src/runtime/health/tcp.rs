//! A connection, which is ended as soon as it stands.

use super::socket::Way;
use super::trouble::Trouble;

/// Connects to `port`.
pub(super) async fn check(way: Way<'_>, port: u16) -> Result<(), Trouble> {
    way.connect(port).await.map(drop)
}
