//! Configuration from the outside: precedence of the layers, all faults at once, and no secret in any of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use honk_service::Environment;
use honk_service::config::{Common, ConfigErrors, LogFormat, NoSettings, load_from};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Migrate {
    part_bytes: u64,
    #[serde(with = "honk_service::config::human_duration")]
    request_timeout: Duration,
    pools: Vec<String>,
    labels: BTreeMap<String, String>,
    scratch: Option<PathBuf>,
    verify: bool,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Copy,
    Stream,
}

impl Default for Migrate {
    fn default() -> Self {
        Self {
            part_bytes: 8_388_608,
            request_timeout: Duration::from_secs(30),
            pools: Vec::new(),
            labels: BTreeMap::new(),
            scratch: None,
            verify: true,
            mode: Mode::Copy,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Settings {
    migrate: Migrate,
}

fn load(variables: &[(&str, &str)]) -> Result<(Settings, Common), ConfigErrors> {
    load_from("honk-migrate", &variables.iter().copied().collect())
}

fn faults(variables: &[(&str, &str)]) -> Vec<String> {
    load(variables).unwrap_err().faults().iter().map(ToString::to_string).collect()
}

struct ConfigFile {
    _dir: tempfile::TempDir,
    path: String,
}

fn file(text: &str) -> ConfigFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("honk.toml");
    std::fs::write(&path, text).unwrap();
    ConfigFile { _dir: dir, path: path.to_str().unwrap().to_owned() }
}

#[test]
fn an_empty_environment_gives_the_defaults() {
    assert_eq!(load(&[]).unwrap(), (Settings::default(), Common::default()));
    assert_eq!(load_from::<NoSettings>("honk-intake", &Environment::default()).unwrap().1, Common::default());
}

#[test]
fn variables_win_over_the_file_and_the_file_over_the_defaults() {
    let file = file(
        "[nats]\nurl = 'nats://file:4222'\nuser = 'ann'\n[drain]\nseconds = 7\n[migrate]\nrequest_timeout = '2m'\n",
    );
    let variables = [("HONK_CONFIG", file.path.as_str()), ("HONK_NATS__URL", "nats://variable:4222")];
    let (settings, common) = load(&variables).unwrap();
    assert_eq!(common.nats.url, "nats://variable:4222");
    assert_eq!(common.nats.user.as_deref(), Some("ann"));
    assert_eq!(common.drain.limit(), Duration::from_secs(7));
    assert_eq!(settings.migrate.request_timeout, Duration::from_mins(2));
    assert_eq!(settings.migrate.part_bytes, Migrate::default().part_bytes);
}

#[test]
fn text_from_variables_becomes_the_type_that_the_setting_has() {
    let (settings, common) = load(&[
        ("HONK_MIGRATE__PART_BYTES", "1024"),
        ("HONK_MIGRATE__REQUEST_TIMEOUT", "1h 30m"),
        ("HONK_MIGRATE__POOLS", "big, small"),
        ("HONK_MIGRATE__LABELS__ZONE", "a"),
        ("HONK_MIGRATE__SCRATCH", "/tmp/x"),
        ("HONK_MIGRATE__VERIFY", "false"),
        ("HONK_MIGRATE__MODE", "stream"),
        ("HONK_NATS__USER", "12345"),
        ("HONK_TELEMETRY__LOG_FORMAT", "json"),
        ("HONK_ADMIN__LISTEN", "127.0.0.1:9464"),
    ])
    .unwrap();
    assert_eq!(settings.migrate.part_bytes, 1024);
    assert_eq!(settings.migrate.request_timeout, Duration::from_mins(90));
    assert_eq!(settings.migrate.pools, ["big", "small"]);
    assert_eq!(settings.migrate.labels["zone"], "a");
    assert_eq!(settings.migrate.scratch, Some(PathBuf::from("/tmp/x")));
    assert!(!settings.migrate.verify);
    assert_eq!(settings.migrate.mode, Mode::Stream);
    assert_eq!(common.nats.user.as_deref(), Some("12345"));
    assert_eq!(common.telemetry.log_format, LogFormat::Json);
    assert_eq!(common.admin.listen, Some("127.0.0.1:9464".parse().unwrap()));
}

#[test]
fn all_faults_are_reported_together_each_with_its_place() {
    let file = file("[drain]\nseconds = 'soon'\n[nats]\nurrl = 'x'\n[telemetry]\nlog_format = 'xml'\n");
    let found = faults(&[
        ("HONK_CONFIG", file.path.as_str()),
        ("HONK_ADMIN__LISTEN", "everywhere"),
        ("HONK_MIGRATE__MODE", "teleport"),
        ("HONK_MIGRATE__PART_BYTES", "big"),
        ("HONK_MIGRATE__REQUEST_TIMEOUT", "later"),
        ("HONK_NATS_URL", "nats://x"),
        ("HONK_TELEMETRY", "on"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ]);
    let expected = [
        ("HONK_ADMIN__LISTEN: ", "socket address"),
        ("HONK_MIGRATE__MODE: ", "expected `copy` or `stream`"),
        ("HONK_MIGRATE__PART_BYTES: ", "expected an integer"),
        ("HONK_MIGRATE__REQUEST_TIMEOUT: ", "is not a duration like 30s"),
        ("HONK_NATS_URL: ", "did you mean HONK_NATS__URL?"),
        ("HONK_TELEMETRY: ", "is a section"),
        ("OTEL_TRACES_SAMPLER_ARG: ", "a number from 0 to 1"),
        ("drain.seconds in /", "expected an integer"),
        ("nats.urrl in /", "did you mean nats.url?"),
        ("telemetry.log_format in /", "expected human or json"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (fault, (place, what)) in found.iter().zip(expected) {
        assert!(fault.starts_with(place) && fault.contains(what), "{fault}");
    }
}

#[test]
fn a_key_that_resembles_nothing_gets_no_suggestion() {
    assert_eq!(faults(&[("HONK_XYLOPHONE", "1")]), ["HONK_XYLOPHONE: unknown setting"]);
}

#[test]
fn what_belongs_to_another_service_or_to_the_command_is_passed_over() {
    let file = file("[notify]\nanything = 1\n");
    let variables = [
        ("HONK_CONFIG", file.path.as_str()),
        ("HONK_API_URL", "http://x"),
        ("HONK_API__LISTEN", "y"),
        ("PATH", "/bin"),
    ];
    assert_eq!(load(&variables).unwrap().0, Settings::default());
}

#[test]
fn a_missing_or_broken_file_is_a_fault_beside_the_others() {
    let missing = faults(&[("HONK_CONFIG", "/nowhere/honk.toml"), ("HONK_DRAIN__SECONDS", "x")]);
    assert!(missing[0].starts_with("HONK_CONFIG: cannot read /nowhere/honk.toml: "), "{missing:?}");
    assert_eq!(missing.len(), 2);
    let broken = file("[nats\nurl = 1");
    let found = faults(&[("HONK_CONFIG", broken.path.as_str())]);
    assert!(found.len() == 1 && found[0].starts_with(&broken.path), "{found:?}");
}

#[test]
fn an_empty_variable_leaves_the_default() {
    assert_eq!(load(&[("HONK_NATS__URL", ""), ("HONK_DRAIN__SECONDS", "")]).unwrap().1, Common::default());
}

#[test]
fn the_standard_variables_of_opentelemetry_count_below_our_own() {
    let standard = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_SERVICE_NAME", "mine"),
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ];
    let telemetry = load(&standard).unwrap().1.telemetry;
    assert_eq!(telemetry.otlp_endpoint.as_deref(), Some("http://collector:4318"));
    assert_eq!(telemetry.service_name.as_deref(), Some("mine"));
    assert!(telemetry.otlp_disabled && (telemetry.sample_ratio - 0.25).abs() < f64::EPSILON);
    let own = [standard[0], ("HONK_TELEMETRY__OTLP_ENDPOINT", "http://other:4318")];
    assert_eq!(load(&own).unwrap().1.telemetry.otlp_endpoint.as_deref(), Some("http://other:4318"));
}

#[test]
fn a_secret_is_read_but_never_shown() {
    let (_, common) = load(&[("HONK_NATS__PASSWORD", "hunter2"), ("HONK_NATS__TOKEN", "424242")]).unwrap();
    assert_eq!(common.nats.password.as_ref().unwrap().expose(), "hunter2");
    assert_eq!(common.nats.token.as_ref().unwrap().expose(), "424242");
    let shown = format!("{common:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("424242"), "{shown}");
    let file = file("[nats]\npassword = ['hunter2']\n[nats.token]\nvalue = 'hunter2'\n");
    let error = load(&[("HONK_CONFIG", file.path.as_str())]).unwrap_err().to_string();
    assert!(error.contains("nats.password") && error.contains("nats.token"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
