//! What `deploy/` and `nats/` hold fits together, and what runs from them runs: there is no container engine in a test, but the server's own
//! configuration check, the services' own reading of their settings, and a real cluster from the real files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

mod deploy {
    pub(crate) mod cluster;
    pub(crate) mod compose;
}

use std::collections::BTreeSet;
use std::process::Command;

use deploy::cluster::Cluster;
use deploy::compose::{Compose, example_variables, read, yaml};
use honk_api::ApiSettings;
use honk_bus::Publication;
use honk_intake::config::IntakeConfig;
use honk_migrate::config::MigrateConfig;
use honk_notify::config::NotifyConfig;
use honk_protocol::subject::EVENT_ONBOARD;
use honk_protocol::topology::{Settings, Topology};
use honk_runner::config::RunnerConfig;
use honk_service::config::{Common, NoSettings, load_from};
use honk_service::{Environment, config};
use honk_testkit::users;
use honk_validate::config::ValidateConfig;

const CONFIGURATIONS: [&str; 4] =
    ["nats/dev.conf", "nats/cluster/node-1.conf", "nats/cluster/node-2.conf", "nats/cluster/node-3.conf"];

#[tokio::test]
async fn the_server_accepts_every_configuration_and_none_of_the_cluster_without_its_secrets() {
    let binary = users::nats_server().await;
    let variables = Compose::read().service("nats-1").environment;
    for file in CONFIGURATIONS {
        let check = |variables: &[(String, String)]| {
            let mut command = Command::new(&binary);
            command.args(["-t", "-c", file]).current_dir(users::root()).env_clear();
            command.envs(variables.iter().cloned()).output().unwrap()
        };
        let checked = check(&variables);
        assert!(checked.status.success(), "{file}: {}", String::from_utf8_lossy(&checked.stderr));
        for missing in (0..variables.len()).filter(|_| file != "nats/dev.conf") {
            let mut without = variables.clone();
            let (name, _) = without.remove(missing);
            assert!(!check(&without).status.success(), "{file} is accepted without {name}");
        }
    }
}

#[test]
fn every_setting_in_the_compose_file_is_one_that_the_service_knows() {
    let compose = Compose::read();
    let mut users = BTreeSet::new();
    for (name, service) in compose.services() {
        let environment: Environment = service.environment.iter().cloned().collect();
        let loaded = match service.command[0].as_str() {
            "honk" => settings::<NoSettings>(&environment),
            "honk-intake" => settings::<IntakeConfig>(&environment),
            "honk-validate" => settings::<ValidateConfig>(&environment),
            "honk-migrate" => settings::<MigrateConfig>(&environment),
            "honk-notify" => settings::<NotifyConfig>(&environment),
            "honk-runner" => settings::<RunnerConfig>(&environment),
            "honk-api" => settings::<ApiSettings>(&environment),
            _ => continue,
        };
        let common = loaded.unwrap_or_else(|faults| panic!("{name}: {faults}"));
        let user = common.nats.user.unwrap();
        assert_eq!(common.nats.inbox_prefix, Some(users::inbox_prefix(&user)), "{name}");
        assert!(users.insert(user), "{name} shares its user with another service");
        let stop: u64 = service.stop_grace_period.trim_end_matches('s').parse().unwrap();
        assert!(stop > common.drain.seconds, "{name} is killed before its drain ends");
    }
    assert_eq!(
        users,
        ["api", "deployer", "intake", "migrate", "notify", "runner", "validate"].map(String::from).into()
    );
}

fn settings<T: config::Settings>(environment: &Environment) -> Result<Common, config::ConfigErrors> {
    load_from::<T>("test", environment).map(|(_, common)| common)
}

#[test]
fn every_setting_that_the_readme_names_exists() {
    let mut known = BTreeSet::new();
    let mut add = |sections: serde_json::Value| {
        for (section, keys) in sections.as_object().unwrap() {
            let keys = keys.as_object().unwrap().keys();
            known.extend(keys.map(|key| format!("HONK_{section}__{key}").to_uppercase()));
        }
    };
    add(serde_json::to_value(Common::default()).unwrap());
    add(serde_json::to_value(IntakeConfig::default()).unwrap());
    add(serde_json::to_value(MigrateConfig::default()).unwrap());
    add(serde_json::to_value(NotifyConfig::default()).unwrap());
    add(serde_json::to_value(ValidateConfig::default()).unwrap());
    add(serde_json::to_value(RunnerConfig::default()).unwrap());
    add(serde_json::to_value(ApiSettings::default()).unwrap());
    let mut prefix = String::new();
    for quoted in read("deploy/README.md").split('`').filter(|quoted| quoted.contains("__")) {
        let name = quoted.split('=').next().unwrap();
        let name = name.strip_prefix('…').map_or_else(|| name.to_owned(), |key| format!("{prefix}{key}"));
        let Some((section, _)) = name.split_once("__").filter(|(section, _)| !section.contains('<')) else { continue };
        prefix = section.to_owned();
        assert!(known.contains(&name), "there is no {name}");
    }
}

#[test]
fn the_api_is_reachable_from_its_own_container_alone() {
    let api = Compose::read().service("api");
    let environment: Environment = api.environment.iter().cloned().collect();
    let (settings, _) = load_from::<ApiSettings>("test", &environment).unwrap();
    assert!(settings.api.listen.ip().is_loopback());
    assert!(api.ports.is_empty() && api.network_mode.is_none());
}

#[test]
fn every_file_and_program_that_the_compose_file_names_is_there() {
    let containerfile = read("deploy/Containerfile");
    for (name, service) in Compose::read().services() {
        for (host, _) in service.mounts() {
            assert!(users::root().join("deploy").join(&host).exists(), "{name} mounts {host}");
        }
        for argument in service.command.iter().filter(|argument| argument.starts_with("/etc/")) {
            let found = service.mounts().into_iter().find_map(|(host, inside)| {
                let rest = argument.strip_prefix(&inside)?;
                Some(users::root().join("deploy").join(format!("{host}{rest}")))
            });
            assert!(found.is_some_and(|path| path.is_file()), "{name} is told to read {argument}");
        }
        let program = &service.command[0];
        if program.starts_with("honk") {
            let package = if program == "honk" { "honk-cli" } else { program };
            assert!(containerfile.contains(&format!("-p {package} ")), "{program} is not built");
            assert!(containerfile.contains(&format!("target/dist/{program} ")), "{program} is not in the image");
        }
    }
    assert!(read("deploy/compose.yaml").contains("dockerfile: deploy/Containerfile"));
}

#[test]
fn the_example_of_the_environment_names_every_variable_and_no_secret() {
    let text = read("deploy/compose.yaml");
    let used: BTreeSet<String> = text
        .split("${")
        .skip(1)
        .map(|rest| rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap().to_owned())
        .collect();
    let example = example_variables();
    assert_eq!(used, example.iter().map(|(name, _)| name.clone()).collect());
    for (name, value) in example.iter().filter(|(name, _)| name.ends_with("PASSWORD")) {
        assert_eq!(value, "", "{name}");
        let optional = text.matches(&format!("${{{name}}}")).count() + text.matches(&format!("${{{name}:-")).count();
        assert_eq!(optional, 0, "an empty {name} would be an open door");
    }
}

#[test]
fn the_collector_receives_where_the_services_send_and_its_pipelines_are_complete() {
    let collector = yaml("deploy/collector.yaml");
    for (name, pipeline) in collector["service"]["pipelines"].as_object().unwrap() {
        for kind in ["receivers", "processors", "exporters"] {
            let parts = pipeline[kind].as_array().unwrap();
            assert!(!parts.is_empty(), "{name} has no {kind}");
            for part in parts {
                assert!(collector[kind].get(part.as_str().unwrap()).is_some(), "{name} uses {kind} {part}");
            }
        }
    }
    let receives = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].as_str().unwrap();
    let scrapes = &collector["receivers"]["prometheus"]["config"]["scrape_configs"][0]["dns_sd_configs"][0];
    for name in ["intake", "validate", "migrate", "notify", "runner", "api"] {
        let environment: Environment = Compose::read().service(name).environment.into_iter().collect();
        let common = settings::<NoSettings>(&environment).unwrap();
        let port = receives.rsplit(':').next().unwrap();
        assert_eq!(common.telemetry.otlp_endpoint, Some(format!("http://collector:{port}")));
        assert_eq!(u64::from(common.admin.listen.unwrap().port()), scrapes["port"].as_u64().unwrap());
        assert!(scrapes["names"].as_array().unwrap().iter().any(|scraped| scraped == name), "{name}");
    }
}

/// Profile `durable`: what was acknowledged is there, and more can be written, when one of the three nodes is gone.
#[tokio::test]
async fn a_cluster_from_these_files_keeps_what_it_acknowledged_when_a_node_dies() {
    let mut cluster = Cluster::start().await;
    let topology = Topology::new(&Settings { replicas: 3, ..Settings::default() });
    let deployer = cluster.connect("deployer").await;
    cluster.eventually("provisioning", || deployer.provision(&topology)).await;
    assert_eq!(deployer.provision(&topology).await.unwrap(), []);

    let (producer, api) = (cluster.connect("producer").await, cluster.connect("api").await);
    let event = || Publication::new(EVENT_ONBOARD, "{}").message_id("one");
    cluster.eventually("publishing", || producer.publish(event())).await;
    let locations = api.locations();
    let revision = cluster.eventually("writing", || locations.put("d", "here")).await;

    cluster.kill_a_node().await;
    let again = cluster.eventually("publishing with two nodes", || producer.publish(event())).await;
    assert!(again.duplicate, "the first one is remembered");
    let entry = cluster.eventually("reading with two nodes", || locations.get("d")).await.unwrap();
    assert_eq!((entry.revision, entry.value.as_ref()), (revision, b"here".as_slice()));
    cluster.eventually("writing with two nodes", || locations.update("d", "there", revision)).await;
}
