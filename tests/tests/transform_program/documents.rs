//! The examples of docs/TRANSFORM.md do what it says.

use honk_protocol::transform::TransformRequest;
use serde_json::Value;

use crate::setting::Setting;

const PAGE: &str = include_str!("../../../docs/TRANSFORM.md");

/// The first block of this language.
fn block(language: &str) -> &'static str {
    let begin = format!("```{language}\n");
    PAGE.split_once(begin.as_str()).and_then(|(_, rest)| rest.split_once("```")).unwrap().0
}

#[tokio::test]
async fn the_example_of_a_workflow_transforms() {
    let workflow: Value = serde_saphyr::from_str(block("yaml")).unwrap();
    let with = &workflow["jobs"]["migrate"]["steps"][0]["with"];
    let csv = b"Name,Year,Cylinders,Miles_per_Gallon,Origin,zip,comment\n\
                Beetle,1970-01-01,4,26,Europe,00501,x\nCorolla,1971-01-01,4,31,Japan,10001,\n";
    let setting = Setting::with(&[("cars.csv", csv)]).await;
    let result = setting.done(with["transform"].clone(), with["expect"].clone()).await;
    assert_eq!((result.evidence.after.rows, result.evidence.rejected), (2, 0));
    let keys: Vec<_> = setting.target().await.into_keys().collect();
    assert_eq!(keys, ["country=Europe/part-00000.parquet", "country=Japan/part-00000.parquet"]);
    let names: Vec<_> = result.evidence.after.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["Name", "Year", "Cylinders", "Miles_per_Gallon", "country", "zip", "litres_per_100km"]);
}

#[test]
fn the_example_of_a_request_is_one() {
    let request = block("sh").split('\'').nth(1).unwrap();
    let request: TransformRequest = serde_json::from_str(request).unwrap();
    assert_eq!((request.tethered, request.kept), (false, None));
}
