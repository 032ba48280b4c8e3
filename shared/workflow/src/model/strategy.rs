//! `strategy`: a job that is done for each item of a matrix, as many deliveries as there are items.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::expr::{RenderError, Template, fill_value};

/// What a job is done for, and how many at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Strategy {
    /// What it is done for.
    pub matrix: Matrix,
    /// How many items at a time; without one, as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Whether no more items are begun once one has failed.
    pub fail_fast: bool,
}

/// The items that a job is done for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matrix {
    /// Every combination of the axes' values.
    Axes {
        /// In the order of the file; the last one varies fastest.
        axes: Vec<Axis>,
        /// Combinations that are left out: those that agree with one of these in all that it says.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        exclude: Vec<Map<String, Value>>,
        /// What is added to the combinations that it agrees with, or else as an item of its own.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        include: Vec<Map<String, Value>>,
    },
    /// A text that becomes a list of mappings, each of them an item.
    Expression(String),
}

/// One key of a matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What its value is known by, below `matrix`.
    pub name: String,
    /// Its values.
    pub values: AxisValues,
}

/// The values of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AxisValues {
    /// Known when the workflow is registered, but for expressions in their texts.
    List(Vec<Value>),
    /// A text that becomes a list.
    Expression(String),
}

/// Why a matrix has no items.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// An expression of it has no value.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Neither a list nor JSON text of one.
    #[error("{} of the matrix must be a list, or JSON text of one, but is {found}", crate::diagnostic::quote(.text))]
    NotList {
        /// What was evaluated.
        text: String,
        /// What it is.
        found: String,
    },
    /// An item that is no mapping.
    #[error("item {index} of the matrix must be a mapping, but is {found}")]
    NotMapping {
        /// Which one, from 0.
        index: usize,
        /// What it is.
        found: String,
    },
    /// More than [`Strategy::MAX_ITEMS`].
    #[error("the matrix has {0} items, and at most {max} are allowed", max = Strategy::MAX_ITEMS)]
    TooMany(usize),
}

impl Strategy {
    /// The most items of a matrix, also before `exclude` takes some away.
    pub const MAX_ITEMS: usize = 2_000;

    /// The items, each with the values that `matrix` has for it, in a stable order. There may be none if a list is made by an
    /// expression; then there is nothing to do.
    pub fn items(&self, values: &Value) -> Result<Vec<Map<String, Value>>, MatrixError> {
        let items = match &self.matrix {
            Matrix::Expression(text) => whole(text, values)?,
            Matrix::Axes { axes, exclude, include } => {
                let mut items = product(axes, values)?;
                let exclude = filled(exclude, values)?;
                items.retain(|item| !exclude.iter().any(|excluded| agrees(item, excluded)));
                extend(items, filled(include, values)?, axes)
            }
        };
        if items.len() > Self::MAX_ITEMS { Err(MatrixError::TooMany(items.len())) } else { Ok(items) }
    }

    /// The keys that an item can have below `matrix`. `None` if only a run will tell.
    pub fn keys(&self) -> Option<BTreeSet<&str>> {
        let Matrix::Axes { axes, include, .. } = &self.matrix else { return None };
        let included = include.iter().flat_map(|item| item.keys().map(String::as_str));
        Some(axes.iter().map(|axis| axis.name.as_str()).chain(included).collect())
    }
}

fn whole(text: &str, values: &Value) -> Result<Vec<Map<String, Value>>, MatrixError> {
    let mapping = |(index, item)| match item {
        Value::Object(item) => Ok(item),
        other => Err(MatrixError::NotMapping { index, found: found(&other) }),
    };
    list(text, values)?.into_iter().enumerate().map(mapping).collect()
}

/// A list, or JSON text of one, as outputs of jobs are texts.
fn list(text: &str, values: &Value) -> Result<Vec<Value>, MatrixError> {
    let value = Template::parse(text).map_err(RenderError::from)?.value(values)?;
    let not_list = |value: &Value| MatrixError::NotList { text: text.to_owned(), found: found(value) };
    match value {
        Value::Array(items) => Ok(items),
        Value::String(json) => match serde_json::from_str(&json) {
            Ok(Value::Array(items)) => Ok(items),
            _ => Err(not_list(&Value::String(json))),
        },
        other => Err(not_list(&other)),
    }
}

/// All combinations of the axes' values; none without axes.
fn product(axes: &[Axis], values: &Value) -> Result<Vec<Map<String, Value>>, MatrixError> {
    let mut items = if axes.is_empty() { Vec::new() } else { vec![Map::new()] };
    for Axis { name, values: of_axis } in axes {
        let choices = match of_axis {
            AxisValues::Expression(text) => list(text, values)?,
            AxisValues::List(list) => list.iter().map(|value| fill_value(value, values)).collect::<Result<_, _>>()?,
        };
        let count = items.len().saturating_mul(choices.len());
        if count > Strategy::MAX_ITEMS {
            return Err(MatrixError::TooMany(count));
        }
        let with = |item: &Map<String, Value>, value: &Value| {
            let mut item = item.clone();
            item.insert(name.clone(), value.clone());
            item
        };
        items = items.iter().flat_map(|item| choices.iter().map(|value| with(item, value))).collect();
    }
    Ok(items)
}

fn filled(items: &[Map<String, Value>], values: &Value) -> Result<Vec<Map<String, Value>>, MatrixError> {
    let fill = |item: &Map<String, Value>| {
        let fields = item.iter().map(|(name, value)| Ok((name.clone(), fill_value(value, values)?)));
        fields.collect::<Result<_, MatrixError>>()
    };
    items.iter().map(fill).collect()
}

/// Whether `item` has all that `other` says, with the same values.
fn agrees(item: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    other.iter().all(|(name, value)| item.get(name) == Some(value))
}

/// As GitHub does it: an entry is added to every combination whose values of the axes it does not change, and if there is none, it is an
/// item of its own, which later entries do not touch.
fn extend(
    mut items: Vec<Map<String, Value>>,
    include: Vec<Map<String, Value>>,
    axes: &[Axis],
) -> Vec<Map<String, Value>> {
    let combinations = items.len();
    for entry in include {
        let of_axes: Map<String, Value> = entry
            .iter()
            .filter(|(name, _)| axes.iter().any(|axis| axis.name == **name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut was_added = false;
        for item in items.iter_mut().take(combinations).filter(|item| agrees(item, &of_axes)) {
            item.extend(entry.clone());
            was_added = true;
        }
        if !was_added {
            items.push(entry);
        }
    }
    items
}

fn found(value: &Value) -> String {
    crate::diagnostic::quote(&value.to_string())
}
