//! Tables of plain text: a line of headings, columns aligned, two spaces between them, nothing to strip for `awk`.

use std::fmt;

use super::inline;

/// A table; a heading that begins with `>` aligns its column to the right.
#[derive(Debug)]
pub(crate) struct Table {
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings and no rows.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let headings = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned()).collect();
        Self { right, rows: vec![headings] }
    }

    /// Adds a row. An empty cell is shown as `-`, so that columns can be counted.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let show = |cell: String| if cell.is_empty() { "-".to_owned() } else { inline(&cell) };
        self.rows.push(cells.into_iter().map(show).collect());
    }

    fn width(&self, column: usize) -> usize {
        self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.right.len()).map(|column| self.width(column)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                line.extend([if *right { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") }]);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_no_cell_can_break_its_line() {
        let mut table = Table::new(&["NAME", ">BYTES", "ERROR"]);
        table.row(["ä-dataset".into(), "7".into(), String::new()]);
        table.row(["b".into(), "1234567".into(), "two\nlines".into()]);
        let expected = "NAME         BYTES  ERROR\nä-dataset        7  -\nb          1234567  two\\nlines\n";
        assert_eq!(table.to_string(), expected);
    }
}
