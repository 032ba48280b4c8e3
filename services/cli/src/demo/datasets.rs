//! The datasets of the demo: real tables, and generated ones whose every byte follows from their name, so that they need not be kept to be
//! compared later.

use bytes::Bytes;
use honk_protocol::name::DatasetName;

use crate::error::CliError;

/// How much of a generated object is made at a time; also the size of the parts it is uploaded in.
pub(crate) const CHUNK: u64 = 8 << 20;

/// A dataset of the demo.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Its name.
    pub(crate) name: DatasetName,
    /// What it shows.
    pub(crate) shows: &'static str,
    /// Its objects.
    pub(crate) objects: Vec<SampleObject>,
    /// Whether both of its places are in one store.
    pub(crate) stays_in_store: bool,
    /// Whether its objects are missing at first, so that its validation fails.
    pub(crate) is_empty_at_first: bool,
}

/// An object of a dataset.
#[derive(Debug, Clone)]
pub(crate) struct SampleObject {
    /// Its key inside the dataset.
    pub(crate) key: String,
    /// Its media type.
    pub(crate) content_type: &'static str,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Real(&'static [u8]),
    Generated { seed: u64, size: u64 },
}

/// The sample tables; `data/README.md` names their sources.
macro_rules! real {
    ($($name:literal => $kind:literal),+ $(,)?) => {
        vec![$(SampleObject {
            key: $name.to_owned(),
            content_type: $kind,
            content: Content::Real(include_bytes!(concat!("../../data/", $name))),
        }),+]
    };
}

/// The datasets that show what Honk does.
pub(crate) fn showcase() -> Result<Vec<Sample>, CliError> {
    let transport = real! { "airports.csv" => "text/csv", "flights-5k.json" => "application/json" };
    let nature = real! {
        "earthquakes.json" => "application/geo+json",
        "penguins.json" => "application/json",
        "seattle-weather.csv" => "text/csv",
    };
    let economy = real! { "us-employment.csv" => "text/csv" };
    let clicks =
        (0..2_500).map(|number| generated(format!("day={:02}/part-{number:05}.json", number % 30), number, 2 << 10));
    let scenes = vec![generated("scene.tif".into(), 7, 200 << 20), generated("scene.json".into(), 8, 512)];
    let orders = (0..20).map(|number| generated(format!("orders-{number:02}.csv"), 100 + number, 64 << 10));
    let sample = |name: &str, shows, objects: Vec<SampleObject>| -> Result<Sample, CliError> {
        let name = DatasetName::new(name).map_err(|error| CliError::failed(error.to_string()))?;
        Ok(Sample { name, shows, objects, stays_in_store: false, is_empty_at_first: false })
    };
    Ok(vec![
        sample("us-transport", "real tables", transport)?,
        sample("nature", "real tables", nature)?,
        Sample { stays_in_store: true, ..sample("us-economy", "a copy inside one store", economy)? },
        sample("clickstream", "2,500 objects", clicks.collect())?,
        sample("satellite-scenes", "an object of 200 MiB, in parts", scenes)?,
        Sample { is_empty_at_first: true, ..sample("orders", "fails, is repaired and replayed", orders.collect())? },
    ])
}

/// `count` datasets of ten objects of 4 KiB.
pub(crate) fn many(count: usize) -> Result<Vec<Sample>, CliError> {
    let dataset = |number: usize| {
        let name =
            DatasetName::new(format!("dataset-{number:05}")).map_err(|error| CliError::failed(error.to_string()))?;
        let seed = number as u64 * 10;
        let objects = (0..10).map(|object| generated(format!("part-{object}.bin"), seed + object, 4 << 10)).collect();
        Ok(Sample { name, shows: "generated", objects, stays_in_store: false, is_empty_at_first: false })
    };
    (0..count).map(dataset).collect()
}

fn generated(key: String, seed: u64, size: u64) -> SampleObject {
    SampleObject { key, content_type: "application/octet-stream", content: Content::Generated { seed, size } }
}

impl Sample {
    /// Bytes of all objects.
    pub(crate) fn bytes(&self) -> u64 {
        self.objects.iter().map(SampleObject::size).sum()
    }
}

impl SampleObject {
    /// Its bytes in all.
    pub(crate) fn size(&self) -> u64 {
        match self.content {
            Content::Real(bytes) => bytes.len() as u64,
            Content::Generated { size, .. } => size,
        }
    }

    /// Its content from `offset` on, one chunk of it.
    pub(crate) fn chunk(&self, offset: u64) -> Bytes {
        let length = CHUNK.min(self.size().saturating_sub(offset));
        match self.content {
            Content::Real(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Bytes::from_static(&bytes[from..])
            }
            Content::Generated { seed, .. } => noise(seed, offset, length),
        }
    }
}

/// Bytes that follow from seed and offset alone: `SplitMix64` (Steele, Lea, Flood 2014) as a counter.
fn noise(seed: u64, offset: u64, length: u64) -> Bytes {
    let words = offset / 8..(offset + length).div_ceil(8);
    let mut bytes = Vec::with_capacity(usize::try_from(length + 8).unwrap_or_default());
    for word in words {
        let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(word.wrapping_mul(0xD1B5_4A32_D192_ED03));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(usize::try_from(length).unwrap_or_default());
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_content_follows_from_its_place_and_differs_between_objects() {
        assert_eq!(noise(1, 0, 20)[8..], noise(1, 8, 12)[..]);
        assert_ne!(noise(1, 0, 64), noise(2, 0, 64));
        assert_eq!(noise(3, 0, 13).len(), 13);
    }

    #[test]
    fn the_showcase_has_what_it_promises() {
        let samples = showcase().expect("valid names");
        assert!(samples.iter().any(|sample| sample.objects.len() == 2_500));
        assert!(samples.iter().flat_map(|sample| &sample.objects).any(|object| object.size() == 200 << 20));
        let real: u64 = samples[..3].iter().map(Sample::bytes).sum();
        assert!(real < 3 << 20, "the repository stays small");
        assert_eq!(many(3).expect("valid names")[2].bytes(), 10 * 4096);
    }
}
