//! What `honk doctor --store` asks an object store: everything that a migration can make use of, with real requests below a probe
//! folder that is empty afterwards. It needs neither the API nor NATS, so that a store can be judged before there is any.

use honk_protocol::dataset::{Place, S3Place};
use honk_service::config::load_from;
use honk_service::environment;
use honk_storage::probe::{Ability, Finding, probe};
use honk_storage::{StorageConfig, StorageSettings, Stores};
use serde::{Deserialize, Serialize};

use super::Check;
use crate::error::CliError;

/// The section that every service has which touches objects.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct StoreSettings {
    storage: StorageSettings,
}

/// One check per ability; one that says why, if the store cannot be a target at all.
pub(super) async fn checks(place: S3Place) -> Result<Vec<Check>, CliError> {
    let settings = load_from::<StoreSettings>("honk", &environment());
    let (settings, _) = settings.map_err(|error| CliError::usage("cannot read the settings").caused_by(&error))?;
    let stores = Stores::new(StorageConfig::from(settings.storage));
    let place = honk_storage::Place::from(&Place::S3(place));
    let found = match stores.open(&place).await {
        Ok(store) => Box::pin(probe(&store, &place.prefix())).await,
        Err(error) => Err(error),
    };
    let advice = "HONK_STORAGE__ACCESS_KEY and HONK_STORAGE__SECRET_KEY say as whom, --endpoint says where";
    Ok(match found {
        Ok(found) => found.iter().map(|(ability, finding)| check(ability, finding)).collect(),
        Err(error) => vec![Check::fail("store", error.to_string(), advice)],
    })
}

fn check(ability: Ability, finding: &Finding) -> Check {
    let meaning = ability.meaning();
    match finding {
        Finding::Yes => Check::ok(ability.code(), meaning),
        Finding::Ignored => Check::warn(ability.code(), format!("accepted and ignored: {meaning}"), ability.without()),
        Finding::No(how) => Check::warn(ability.code(), format!("refused ({how}): {meaning}"), ability.without()),
    }
}
