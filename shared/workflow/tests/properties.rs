//! Properties of all texts and of all graphs.

use honk_workflow::{Workflow, parse};
use proptest::prelude::*;

/// Jobs `j0`, `j1`, … with these needs.
fn text(needs: &[Vec<usize>]) -> String {
    let job = |(job, needs): (usize, &Vec<usize>)| {
        let needs: Vec<_> = needs.iter().map(|need| format!("j{need}")).collect();
        format!("  j{job}:\n    needs: [{}]\n    steps: [run: x]\n", needs.join(", "))
    };
    let jobs: Vec<String> = needs.iter().enumerate().map(job).collect();
    format!("name: w\non: dataset_onboard\njobs:\n{}", jobs.concat())
}

/// A graph whose jobs need only jobs before them in some order, which is the second value.
fn acyclic() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<usize>)> {
    (2usize..30)
        .prop_flat_map(|size| {
            let edges = prop::collection::vec(prop::collection::btree_set(0..size, 0..4), size);
            (edges, Just((0..size).collect::<Vec<_>>()).prop_shuffle())
        })
        .prop_map(|(edges, order)| {
            let mut needs = vec![Vec::new(); order.len()];
            for (place, job) in order.iter().enumerate() {
                needs[*job] =
                    edges[place].iter().filter(|before| **before < place).map(|before| order[*before]).collect();
            }
            (needs, order)
        })
}

/// Texts that are nearly workflows: lines of one, in any order, with some damage.
fn nearly() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "name: w",
        "on: dataset_onboard",
        "jobs:",
        "  a:",
        "  b: &b",
        "    needs: [a]",
        "    needs: *b",
        "    steps:",
        "      - run: x {{ input.y }}",
        "      - uses: honk/validate",
        "        with: {a: [1, {b: c}]}",
        "    timeout: 1h",
        "    if: always() and jobs.a.result",
        "    strategy:",
        "      matrix: {p: [1], include: [{q: 2}]}",
        "      matrix: '{{ jobs.a.outputs.x }}'",
        "      - run: [y, '{{ matrix.p }}']",
        "        if: failure()",
        "  schedule: [{cron: '0 2 * * *'}]",
        "rate: 1/s",
        "concurrency: '{{ input.x }}'",
        "reject_codes: [1, 75]",
        "    backoff: {initial: 1s, max: 2}",
        "---",
        "...",
        "%YAML 1.2",
        "? x",
        ": y",
        "<<: *b",
        "    env: {A: |",
        "  é: \"\\u0000",
    ]);
    prop::collection::vec((line, "[ -~\t]{0,3}"), 0..20)
        .prop_map(|lines| lines.into_iter().fold(String::new(), |text, (line, damage)| text + line + &damage + "\n"))
}

fn is_reported(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(parsed) => prop_assert!(parsed.warnings.iter().all(|warning| !warning.is_error())),
        Err(faults) => {
            prop_assert!(faults.iter().any(honk_workflow::Diagnostic::is_error));
            let lines = text.lines().count() + 1;
            prop_assert!(
                faults.iter().all(|fault| (1..=lines).contains(&fault.line) && fault.column >= 1),
                "{faults:?}"
            );
            prop_assert!(faults.iter().all(|fault| !fault.message.contains('\n')), "{faults:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_with_an_error(text in any::<String>()) {
        is_reported(&text)?;
    }

    #[test]
    fn any_yaml_like_text_is_read_or_refused_with_an_error(text in "[a-z:\\-\\[\\]{},&*!|>'\"#%@ \n\t?~0.]{0,80}") {
        is_reported(&text)?;
    }

    #[test]
    fn any_near_workflow_is_read_or_refused_with_an_error(text in nearly()) {
        is_reported(&text)?;
    }

    #[test]
    fn a_graph_without_circles_is_accepted_and_stored_without_loss((needs, _) in acyclic()) {
        let workflow = parse(&text(&needs)).expect("has no circle").workflow;
        for (job, needs) in workflow.jobs.iter().zip(&needs) {
            let names: Vec<_> = needs.iter().map(|need| format!("j{need}")).collect();
            prop_assert_eq!(job.needs.iter().map(ToString::to_string).collect::<Vec<_>>(), names);
        }
        let read = Workflow::from_json(&workflow.to_json()).expect("reads back");
        prop_assert_eq!(read.hash(), workflow.hash());
    }

    #[test]
    fn a_graph_with_one_edge_back_is_refused((mut needs, order) in acyclic(), pick in any::<prop::sample::Index>()) {
        // Along the order every job now needs the one before, so that an edge against it closes a circle.
        for pair in order.windows(2) {
            if !needs[pair[1]].contains(&pair[0]) {
                needs[pair[1]].push(pair[0]);
            }
        }
        let place = pick.index(order.len() - 1);
        let last = *order.last().expect("is not empty");
        needs[order[place]].push(last);
        let faults = parse(&text(&needs)).expect_err("has a circle");
        prop_assert!(faults.iter().any(|fault| fault.code == "needs-cycle"), "{faults:?}");
    }

    #[test]
    fn values_of_any_kind_are_stored_without_loss(number in any::<f64>(), whole in any::<i64>(), string in any::<String>()) {
        let string = serde_json::to_string(&string.replace("{{", "")).expect("is JSON");
        let text = format!(
            "name: w\non: dataset_onboard\njobs: {{validate: {{steps: [{{uses: honk/validate, with: {{n: {number:e}, w: {whole}, s: {string}}}}}]}}}}\n"
        );
        if let Ok(parsed) = parse(&text) {
            let read = Workflow::from_json(&parsed.workflow.to_json()).expect("reads back");
            prop_assert_eq!(read.hash(), parsed.workflow.hash());
        }
    }
}
