//! What rows were, in figures that do not depend on their order: how many, and of each column the values that are missing and a checksum.
//!
//! The checksum of a column is the sum, modulo 2⁶⁴, of the first eight bytes (little-endian) of the MD5 of each value's text; a missing
//! value adds nothing. Anybody can compute it again, and the same values as another type of number have the same one.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use honk_protocol::transform::{ColumnEvidence, RowsEvidence};
use md5::{Digest as _, Md5};

use crate::fault::Fault;

/// Figures of the rows so far.
#[derive(Debug, Clone)]
pub struct Profile {
    schema: SchemaRef,
    /// How many rows.
    pub rows: u64,
    nulls: Vec<u64>,
    sums: Vec<u64>,
}

impl Profile {
    /// Of no rows yet.
    pub fn new(schema: &SchemaRef) -> Self {
        let none = vec![0; schema.fields().len()];
        Self { schema: schema.clone(), rows: 0, nulls: none.clone(), sums: none }
    }

    /// Takes rows.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        self.rows += batch.num_rows() as u64;
        for (column, values) in batch.columns().iter().enumerate() {
            self.nulls[column] += values.logical_null_count() as u64;
            self.sums[column] = self.sums[column].wrapping_add(checksum(values)?);
        }
        Ok(())
    }

    /// The figures.
    pub fn evidence(&self) -> RowsEvidence {
        let figures = self.nulls.iter().zip(&self.sums);
        let columns = self.schema.fields().iter().zip(figures).map(|(field, (nulls, sum))| ColumnEvidence {
            name: field.name().clone(),
            kind: field.data_type().to_string(),
            nullable: field.is_nullable(),
            nulls: *nulls,
            checksum: format!("{sum:016x}"),
        });
        RowsEvidence { rows: self.rows, columns: columns.collect(), more_columns: 0 }
    }
}

fn checksum(values: &ArrayRef) -> Result<u64, Fault> {
    let valid = (0..values.len()).filter(|row| values.is_valid(*row));
    if values.data_type() == &DataType::Utf8 {
        let texts = values.as_string::<i32>();
        return Ok(valid.map(|row| hash(texts.value(row).as_bytes())).fold(0, u64::wrapping_add));
    }
    if values.data_type() == &DataType::LargeUtf8 {
        let texts = values.as_string::<i64>();
        return Ok(valid.map(|row| hash(texts.value(row).as_bytes())).fold(0, u64::wrapping_add));
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values, &options).map_err(|error| Fault::of_engine(error.into()))?;
    let (mut sum, mut text) = (0_u64, String::new());
    for row in valid {
        text.clear();
        if write!(text, "{}", formatter.value(row)).is_ok() {
            sum = sum.wrapping_add(hash(text.as_bytes()));
        }
    }
    Ok(sum)
}

fn hash(text: &[u8]) -> u64 {
    let digest: [u8; 16] = Md5::digest(text).into();
    let (first, _rest) = digest.split_at(8);
    first.try_into().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, Int64Array, StringArray};

    use super::*;

    fn sum(values: impl Array + 'static) -> u64 {
        checksum(&(Arc::new(values) as ArrayRef)).unwrap()
    }

    #[test]
    fn order_and_width_do_not_change_a_checksum_and_values_do() {
        let one = sum(Int64Array::from(vec![Some(1), None, Some(-7)]));
        assert_eq!(one, sum(Int32Array::from(vec![-7, 1])));
        assert_eq!(one, sum(StringArray::from(vec!["1", "-7"])));
        assert_ne!(one, sum(Int64Array::from(vec![1, 7])));
        assert_ne!(sum(Int64Array::from(vec![1, 1])), sum(Int64Array::from(vec![1])));
    }

    #[test]
    fn the_checksum_is_the_documented_one() {
        // md5("1") = c4ca4238a0b92382 0dcc509a6f75849b
        assert_eq!(sum(Int64Array::from(vec![1])), 0x8223_b9a0_3842_cac4);
    }
}
