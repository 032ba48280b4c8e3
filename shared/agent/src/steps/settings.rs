//! How programs are run, as the agent's settings and its environment say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use honk_service::Context;
use honk_service::config::StepsConfig;
use honk_step::Limits;

/// Variables of the agent that every program sees: where programs are, the language, the time zone, the certificates.
const ALWAYS: [&str; 7] = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Where programs are looked for if the agent itself has no `PATH` (`_PATH_STDPATH` of most systems).
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Words in a variable's name that say that its value is a secret.
const SECRET_WORDS: [&str; 6] = ["SECRET", "PASSWORD", "PASSWD", "TOKEN", "CREDENTIAL", "PRIVATE_KEY"];

/// How programs are run.
#[derive(Debug, Clone)]
pub struct StepSettings {
    /// What every program sees of the agent's environment: `PATH` and the like, and what the agent's settings grant.
    pub env: BTreeMap<String, String>,
    /// Values that never appear in a log.
    pub secrets: Vec<String>,
    /// What a program may use.
    pub limits: Limits,
    /// Where work directories are made.
    pub work_dir: PathBuf,
    /// Where workflows' files are kept between jobs.
    pub cache_dir: PathBuf,
}

impl StepSettings {
    /// What the context's section `[steps]` says, with the values of its environment.
    pub fn of<T>(context: &Context<T>) -> Self {
        let StepsConfig { pass_env, work_dir, cache_dir, cpu, memory_mib, file_mib, processes, log_mib } =
            context.common.steps.clone();
        let names = ALWAYS.into_iter().chain(pass_env.iter().map(String::as_str));
        let value = |name: &str| context.environment.get(name).map(|value| (name.to_owned(), value.to_owned()));
        let mut env: BTreeMap<String, String> = names.filter_map(value).collect();
        env.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
        let is_secret = |name: &str| SECRET_WORDS.iter().any(|word| name.to_ascii_uppercase().contains(word));
        let secrets = env.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.clone()).collect();
        let work_dir = work_dir.unwrap_or_else(|| std::env::temp_dir().join("honk-steps"));
        let limits = Limits {
            cpu: Some(cpu),
            memory_bytes: Some(memory_mib << 20),
            file_bytes: Some(file_mib << 20),
            processes: Some(processes),
            log_bytes: log_mib << 20,
        };
        Self { env, secrets, limits, cache_dir: cache_dir.unwrap_or_else(|| work_dir.join("bundles")), work_dir }
    }
}
