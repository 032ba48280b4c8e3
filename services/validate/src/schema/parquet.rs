//! The schema in a Parquet file's footer (<https://parquet.apache.org/docs/file-format/metadata/>): a Thrift structure in the compact
//! protocol, of which the fields that matter are read and all others skipped. A crate that reads whole files would be a hundred times
//! the code for a list of names.

use super::Column;

/// What a file begins and ends with.
const MAGIC: &[u8] = b"PAR1";

/// Nesting beyond this is no honest footer.
const MAX_DEPTH: u8 = 32;

/// Elements of a schema beyond this are no honest footer.
const MAX_ELEMENTS: u64 = 100_000;

/// The footer's bytes, by the last eight of the file.
pub(super) fn footer_length(tail: &[u8]) -> Option<u64> {
    let (length, magic) = tail.split_first_chunk::<4>()?;
    (magic == MAGIC).then(|| u64::from(u32::from_le_bytes(*length)))
}

/// The columns and the number of rows; nothing if it is no footer.
pub(super) fn schema(footer: &[u8]) -> Option<(Vec<Column>, u64)> {
    let mut reader = Reader { bytes: footer };
    let (mut elements, mut rows) = (Vec::new(), 0);
    reader.structure(|reader, field, kind| match (field, kind) {
        (2, Kind::List) => {
            elements = reader.list(Reader::element)?;
            Some(())
        }
        (3, Kind::I64) => {
            rows = u64::try_from(reader.zigzag()?).ok()?;
            Some(())
        }
        _ => reader.skip(kind, 0),
    })?;
    let mut columns = Vec::new();
    let mut rest = elements.iter();
    let root = rest.next()?;
    for _ in 0..root.children {
        leaves(&mut rest, "", false, 0, &mut columns)?;
    }
    Some((columns, rows))
}

/// A node of the schema's tree, which the file keeps in the order of a walk from the root.
#[derive(Debug, Default)]
struct Element {
    name: String,
    physical: Option<i64>,
    optional: bool,
    children: u64,
    converted: Option<i64>,
    logical: Option<i16>,
}

fn leaves<'e>(
    rest: &mut impl Iterator<Item = &'e Element>,
    path: &str,
    nullable: bool,
    depth: u8,
    columns: &mut Vec<Column>,
) -> Option<()> {
    let element = rest.next().filter(|_| depth < MAX_DEPTH)?;
    let name = if path.is_empty() { element.name.clone() } else { format!("{path}.{}", element.name) };
    let nullable = nullable || element.optional;
    if element.children == 0 {
        columns.push(Column { name, kind: element.kind().to_owned(), nullable });
        return Some(());
    }
    for _ in 0..element.children {
        leaves(rest, &name, nullable, depth + 1, columns)?;
    }
    Some(())
}

impl Element {
    /// The simple name of its type: the logical type's where there is one, then the older converted type's, then the
    /// physical type's (`parquet.thrift`).
    fn kind(&self) -> &'static str {
        match (self.logical, self.converted, self.physical) {
            (Some(1 | 4 | 12), _, _) | (None, Some(0 | 4 | 19), _) => "text",
            (Some(5), _, _) | (None, Some(5), _) => "decimal",
            (Some(6), _, _) | (None, Some(6), _) => "date",
            (Some(7), _, _) | (None, Some(7 | 8), _) => "time",
            (Some(8), _, _) | (None, Some(9 | 10), _) | (_, _, Some(3)) => "timestamp",
            (Some(14), _, _) => "uuid",
            (_, _, Some(0)) => "boolean",
            (_, _, Some(1 | 2)) => "integer",
            (_, _, Some(4 | 5)) => "number",
            _ => "bytes",
        }
    }
}

/// The types of the compact protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    True,
    False,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4 => Self::I16,
            5 => Self::I32,
            6 => Self::I64,
            7 => Self::Double,
            8 => Self::Binary,
            // A set is written as a list is.
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            _ => return None,
        })
    }
}

/// Reads the compact protocol (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).
struct Reader<'b> {
    bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take(&mut self, length: u64) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(usize::try_from(length).ok()?)?;
        self.bytes = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    fn binary(&mut self) -> Option<&'b [u8]> {
        let length = self.varint()?;
        self.take(length)
    }

    /// Calls `field` for every field, which must read its value.
    fn structure(&mut self, mut field: impl FnMut(&mut Self, i16, Kind) -> Option<()>) -> Option<()> {
        let mut id = 0_i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => i16::try_from(self.zigzag()?).ok()?,
                delta => id.checked_add(i16::from(delta))?,
            };
            field(self, id, Kind::of(head & 0x0f)?)?;
        }
    }

    fn list_head(&mut self) -> Option<(u64, Kind)> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Some((length, Kind::of(head & 0x0f)?))
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let (length, kind) = self.list_head()?;
        let is_honest = kind == Kind::Struct && length <= MAX_ELEMENTS;
        if is_honest { (0..length).map(|_| item(self)).collect() } else { None }
    }

    fn element(&mut self) -> Option<Element> {
        let mut element = Element::default();
        self.structure(|reader, field, kind| {
            match (field, kind) {
                (1, Kind::I32) => element.physical = Some(reader.zigzag()?),
                (3, Kind::I32) => element.optional = reader.zigzag()? != 0,
                (4, Kind::Binary) => element.name = String::from_utf8_lossy(reader.binary()?).into_owned(),
                (5, Kind::I32) => element.children = u64::try_from(reader.zigzag()?).ok()?,
                (6, Kind::I32) => element.converted = Some(reader.zigzag()?),
                (10, Kind::Struct) => reader.structure(|reader, variant, kind| {
                    element.logical = Some(variant);
                    reader.skip(kind, 0)
                })?,
                _ => reader.skip(kind, 0)?,
            }
            Some(())
        })?;
        Some(element)
    }

    fn skip(&mut self, kind: Kind, depth: u8) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            Kind::True | Kind::False => Some(()),
            Kind::Byte => self.byte().map(|_byte| ()),
            Kind::I16 | Kind::I32 | Kind::I64 => self.varint().map(|_number| ()),
            Kind::Double => self.take(8).map(|_bytes| ()),
            Kind::Binary => self.binary().map(|_bytes| ()),
            Kind::Struct => self.structure(|reader, _field, kind| reader.skip(kind, depth + 1)),
            Kind::List => {
                let (length, kind) = self.list_head()?;
                (0..length).try_for_each(|_| self.skip_item(kind, depth + 1))
            }
            Kind::Map => {
                let length = self.varint()?;
                if length == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                let (key, value) = (Kind::of(kinds >> 4)?, Kind::of(kinds & 0x0f)?);
                (0..length).try_for_each(|_| {
                    self.skip_item(key, depth + 1)?;
                    self.skip_item(value, depth + 1)
                })
            }
        }
    }

    /// A boolean in a list has a byte of its own; as a field it is in the field's head.
    fn skip_item(&mut self, kind: Kind, depth: u8) -> Option<()> {
        match kind {
            Kind::True | Kind::False => self.byte().map(|_byte| ()),
            kind => self.skip(kind, depth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a file that pyarrow wrote: `pa.table({"id": [1], "name": ["x"], "at": timestamp("us"), "tags": list of strings,
    /// "point": {"x": 1.5}})` with `id` not nullable.
    const FOOTER: &str = include_str!("parquet/footer.hex");

    #[test]
    fn the_columns_of_a_real_file_are_found_with_their_types() {
        let file = hex::decode(FOOTER.trim()).unwrap();
        let (footer, tail) = file.split_at(file.len() - 8);
        assert_eq!(footer_length(tail), Some(footer.len() as u64));
        let (columns, rows) = schema(footer).unwrap();
        let shown: Vec<_> = columns
            .iter()
            .map(|column| format!("{}:{}{}", column.name, column.kind, if column.nullable { "?" } else { "" }))
            .collect();
        let wanted = ["id:integer", "name:text?", "at:timestamp?", "tags.list.element:text?", "point.x:number?"];
        assert_eq!((shown.iter().map(String::as_str).collect::<Vec<_>>(), rows), (wanted.to_vec(), 1));
    }

    #[test]
    fn no_bytes_make_it_fail_otherwise_than_by_finding_nothing() {
        let file = hex::decode(FOOTER.trim()).unwrap();
        let footer = &file[..file.len() - 8];
        for length in 0..footer.len() {
            schema(&footer[..length]);
            let mut damaged = footer.to_vec();
            damaged[length] ^= 0x5a;
            schema(&damaged);
        }
        assert_eq!(footer_length(b"\x01\x00\x00\x00PARE"), None);
        assert_eq!(footer_length(b"short"), None);
    }
}
