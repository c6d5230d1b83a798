//! `metrics`, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Metrics {
    /// Address and port that serve `/metrics`, or `off`.
    #[schemars(example = &"127.0.0.1:9475", example = &"off")]
    pub(in crate::config) listen: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9475".to_owned() }
    }
}
