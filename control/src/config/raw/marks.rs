//! `marks`, as it is written.

use super::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Gives flows a mark. Only the first packet of a flow is looked at, and the first entry that it agrees with holds.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(in crate::config) struct MarkRule {
    #[serde(flatten)]
    pub(in crate::config) rule: Rule,
    /// The mark that such flows get, from 1 on; or `none`: they get none, whatever later entries say.
    #[schemars(required, example = &1, example = &"none")]
    pub(in crate::config) mark: Option<GivenMark>,
}

/// `none`, or a mark.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum GivenMark {
    Word(NoMark),
    Number(#[schemars(range(min = 1, max = 4_294_967_295_u32))] u32),
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum NoMark {
    None,
}
