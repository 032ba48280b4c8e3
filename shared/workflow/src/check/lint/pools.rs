//! Pools that are nearly, but not quite, the ones that every installation has. Others are not known here.

use honk_protocol::name::PoolName;

use super::Lint;
use crate::check::fields::Fields;
use crate::diagnostic::{Diagnostic, Report, quote};
use crate::tree::Kind;

pub(super) fn check(lint: &Lint<'_>, report: &mut Report) {
    for (entry, job) in lint.entries.iter().zip(lint.jobs) {
        let pool = job.pool.as_str();
        let Kind::Map(fields) = &entry.value.kind else { continue };
        let Some(runs_on) = Fields::of(fields, "runs-on").filter(|_| PoolName::built_in(pool).is_none()) else {
            continue;
        };
        if let Some(similar) = report.similar(pool, PoolName::BUILT_IN) {
            let message = format!("the pool {} is none of those that every installation has", quote(pool));
            let help = format!("did you mean {}?", quote(similar));
            report.push(Diagnostic::warning("pool-similar", runs_on.value.pos, message).with_help(help));
        }
    }
}
