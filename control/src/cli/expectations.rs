//! `weir expectations`

use super::output::Form;
use crate::Failure;
use crate::observe::{Expectations, conntrack_text, flow_tables};
use hyper::Method;

/// List the flows that helpers of a running gateway expect
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    form: Form,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let answer: Expectations = self.form.gateway().ask(Method::GET, "/expectations")?;
        self.form.show(&answer, flow_tables::expectations, |answer| {
            conntrack_text::expectations(&answer.expectations)
        })
    }
}
