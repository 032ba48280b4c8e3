//! What the expressions of a job name, against the jobs that there are: an output can only be used by a job that waits for it.

use super::fields::Fields;
use super::strategy;
use crate::diagnostic::{Diagnostic, Pos, Report, list, quote, similar};
use crate::expr::{Condition, Expression, Reference, Template};
use crate::graph;
use crate::tree::{Entry, Kind, Node};

/// Keys of a job or a step whose texts are no expressions.
const PLAIN: [&str; 5] = ["name", "needs", "runs-on", "uses", "shell"];

/// All jobs, and what each of them needs.
pub(super) struct Jobs<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) graph: &'a [Vec<usize>],
}

/// Where a text stands.
struct Site {
    job: usize,
    place: Place,
    is_condition: bool,
}

#[derive(PartialEq)]
enum Place {
    /// Evaluated once, before the job has items.
    Before,
    /// Evaluated for each item.
    Within,
}

/// The workflow's `env`, which is for all jobs: nothing that only some of them have.
pub(super) fn shared(env: &Entry, report: &mut Report) {
    let Kind::Map(variables) = &env.value.kind else { return };
    for value in variables.iter().map(|variable| &variable.value) {
        let Kind::Scalar(scalar) = &value.kind else { continue };
        for reference in references(&scalar.text, false).iter().filter(|r| matches!(r.root(), "jobs" | "matrix")) {
            let message = format!("`{reference}` is not known in all jobs");
            let help = "move the variable to the `env` of the jobs that use it";
            report.push(Diagnostic::error("expression-shared", value.pos, message).with_help(help));
        }
    }
}

/// The names that a text uses. One that cannot be read was reported before.
fn references(text: &str, is_condition: bool) -> Vec<Reference> {
    if is_condition {
        return Condition::parse(text)
            .map(|condition| condition.expression().references().to_vec())
            .unwrap_or_default();
    }
    let template = Template::parse(text).unwrap_or_default();
    template.expressions().flat_map(Expression::references).cloned().collect()
}

impl Jobs<'_> {
    pub(super) fn check(&self, report: &mut Report) {
        for (job, entry) in self.entries.iter().enumerate() {
            let Kind::Map(fields) = &entry.value.kind else { continue };
            for field in fields.iter().filter(|field| !PLAIN.contains(&field.key.text.as_str())) {
                if field.key.text == "steps" {
                    self.steps(job, &field.value, report);
                } else {
                    let place = match field.key.text.as_str() {
                        "if" | "strategy" => Place::Before,
                        _ => Place::Within,
                    };
                    self.texts(&Site { job, place, is_condition: field.key.text == "if" }, &field.value, report);
                }
            }
        }
    }

    fn steps(&self, job: usize, steps: &Node, report: &mut Report) {
        let Kind::List(steps) = &steps.kind else { return };
        for step in steps {
            let Kind::Map(fields) = &step.kind else { continue };
            // A script is no template.
            let is_script = Fields::of(fields, "shell").is_some();
            let is_plain = |key: &str| PLAIN.contains(&key) || (is_script && key == "run");
            for field in fields.iter().filter(|field| !is_plain(&field.key.text)) {
                let site = Site { job, place: Place::Within, is_condition: field.key.text == "if" };
                self.texts(&site, &field.value, report);
            }
        }
    }

    /// Every text in `node`.
    fn texts(&self, site: &Site, node: &Node, report: &mut Report) {
        match &node.kind {
            Kind::Scalar(scalar) => {
                for reference in references(&scalar.text, site.is_condition) {
                    match reference.root() {
                        "jobs" => self.job(site.job, &reference, node.pos, report),
                        "matrix" => self.matrix(site, &reference, node.pos, report),
                        _ => {}
                    }
                }
            }
            Kind::List(items) => items.iter().for_each(|item| self.texts(site, item, report)),
            Kind::Map(entries) => entries.iter().for_each(|entry| self.texts(site, &entry.value, report)),
        }
    }

    fn matrix(&self, site: &Site, reference: &Reference, pos: Pos, report: &mut Report) {
        let job = quote(&self.entries[site.job].key.text);
        let Kind::Map(fields) = &self.entries[site.job].value.kind else { return };
        if site.place == Place::Before {
            let message = format!("`{reference}` is not known before the items of the job {job} are");
            let help = "use it in the `if` of a step";
            report.push(Diagnostic::error("expression-matrix", pos, message).with_help(help));
        } else if Fields::of(fields, "strategy").is_none() {
            let message = format!("`{reference}` is used by the job {job}, which has no matrix");
            let help = format!("add `strategy: {{ matrix: … }}` to the job {job}");
            report.push(Diagnostic::error("expression-matrix", pos, message).with_help(help));
        } else if let (Some(keys), [key, ..]) = (strategy::keys(fields), reference.path())
            && !keys.contains(&key.as_str())
        {
            let message =
                format!("`{reference}` names {}, which the matrix of the job {job} does not have", quote(key));
            let help = match report.similar(key, keys.iter().copied()) {
                Some(similar) => format!("did you mean `matrix.{similar}`?"),
                None => format!("the matrix has {}", list(keys)),
            };
            report.push(Diagnostic::error("expression-matrix", pos, message).with_help(help));
        }
    }

    fn job(&self, job: usize, reference: &Reference, pos: Pos, report: &mut Report) {
        let [needed, ..] = reference.path() else { return };
        let name = |job: usize| self.entries[job].key.text.as_str();
        match (0..self.entries.len()).find(|other| name(*other) == needed) {
            None => report.push(self.unknown(job, reference, needed, pos)),
            Some(needed) if needed == job => {
                let message = format!("`{reference}` is not known before the job {} has ended", quote(name(job)));
                let help = "use it in a job that needs this one";
                report.push(Diagnostic::error("expression-needs", pos, message).with_help(help));
            }
            Some(needed) if !graph::depends(job, needed, self.graph) => {
                let (user, needed) = (quote(name(job)), name(needed));
                let message =
                    format!("`{reference}` is used by the job {user}, which does not wait for {}", quote(needed));
                let help = format!("add {} to the `needs` of the job {user}", quote(needed));
                report.push(Diagnostic::error("expression-needs", pos, message).with_help(help));
            }
            Some(_) => {}
        }
    }

    fn unknown(&self, job: usize, reference: &Reference, needed: &str, pos: Pos) -> Diagnostic {
        let others = || {
            let others = self.entries.iter().enumerate().filter(|(other, _)| *other != job);
            others.map(|(_, entry)| entry.key.text.as_str())
        };
        let help = match similar(needed, others()) {
            Some(similar) => format!("did you mean {}?", quote(similar)),
            None => format!("the other jobs are {}", list(others().take(12))),
        };
        let message = format!("`{reference}` names the job {}, which does not exist", quote(needed));
        Diagnostic::error("expression-job", pos, message).with_help(help)
    }
}
