//! The file in which a step leaves its outputs, as `$HONK_OUTPUT` names it. The format is that of GitHub Actions:
//!
//! ```text
//! rows=1250
//! report<<END
//! as many lines
//! as wanted
//! END
//! ```

use std::collections::BTreeMap;

/// The largest file that is read, in bytes.
pub const MAX_OUTPUT_BYTES: usize = 64 * 1024;

/// The longest name of an output, in characters.
pub const MAX_NAME: usize = 63;

/// What is wrong with the file. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputsError {
    /// It is larger than [`MAX_OUTPUT_BYTES`].
    #[error(
        "the file $HONK_OUTPUT has {bytes} bytes, more than {MAX_OUTPUT_BYTES}: write large results to an object store, and their address here"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A byte in it is no UTF-8.
    #[error("line {line} of $HONK_OUTPUT is not UTF-8 text: encode binary values, for instance in base64")]
    NotText {
        /// The line.
        line: usize,
    },
    /// A line is neither empty nor an output.
    #[error("line {line} of $HONK_OUTPUT is no output: write `name=value`, or `name<<END`, lines, and a line `END`")]
    NoOutput {
        /// The line.
        line: usize,
    },
    /// A name has other characters than it may have, or too many.
    #[error(
        "line {line} of $HONK_OUTPUT names an output {name:?}: a name has 1 to {MAX_NAME} letters, digits, `-` and `_`, and begins with a letter or `_`"
    )]
    Name {
        /// The line.
        line: usize,
        /// The name, shortened.
        name: String,
    },
    /// The value of several lines that begins here has no end.
    #[error(
        "line {line} of $HONK_OUTPUT begins a value that ends with a line `{delimiter}`, and there is no such line after it"
    )]
    Endless {
        /// The line.
        line: usize,
        /// What it must end with.
        delimiter: String,
    },
}

/// The outputs in the file. If a name comes twice, the later value holds. Empty lines between outputs are passed over, and a line may
/// end in CR LF.
pub fn parse(file: &[u8]) -> Result<BTreeMap<String, String>, OutputsError> {
    if file.len() > MAX_OUTPUT_BYTES {
        return Err(OutputsError::TooLarge { bytes: file.len() });
    }
    let text = std::str::from_utf8(file).map_err(|error| {
        let before = &file[..error.valid_up_to()];
        OutputsError::NotText { line: before.split(|byte| *byte == b'\n').count() }
    })?;
    let mut outputs = BTreeMap::new();
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate().map(|(at, text)| (at + 1, text));
    while let Some((line, text)) = lines.next() {
        if text.trim().is_empty() {
            continue;
        }
        let (name, value) = match first_of(text).ok_or(OutputsError::NoOutput { line })? {
            (name, Form::Line(value)) => (name, value.to_owned()),
            (name, Form::Until(delimiter)) => (name, block(line, delimiter, &mut lines)?),
        };
        outputs.insert(checked(line, name)?, value);
    }
    Ok(outputs)
}

enum Form<'a> {
    Line(&'a str),
    Until(&'a str),
}

/// Which of the two forms it is: whichever sign comes first.
fn first_of(text: &str) -> Option<(&str, Form<'_>)> {
    let line = text.split_once('=');
    let block =
        text.split_once("<<").map(|(name, delimiter)| (name, delimiter.trim())).filter(|(_, end)| !end.is_empty());
    match (line, block) {
        (Some((name, _)), Some((before, delimiter))) if before.len() < name.len() => {
            Some((before, Form::Until(delimiter)))
        }
        (Some((name, value)), _) => Some((name, Form::Line(value))),
        (None, Some((name, delimiter))) => Some((name, Form::Until(delimiter))),
        (None, None) => None,
    }
}

fn block<'a>(
    line: usize,
    delimiter: &str,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<String, OutputsError> {
    let mut value: Vec<&str> = Vec::new();
    for (_, text) in lines {
        if text == delimiter {
            return Ok(value.join("\n"));
        }
        value.push(text);
    }
    Err(OutputsError::Endless { line, delimiter: shortened(delimiter) })
}

fn checked(line: usize, name: &str) -> Result<String, OutputsError> {
    let name = name.trim();
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if begins && goes_on && name.len() <= MAX_NAME {
        Ok(name.to_owned())
    } else {
        Err(OutputsError::Name { line, name: shortened(name) })
    }
}

/// For an error: enough to be recognised.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_NAME).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(file: &str) -> Vec<(String, String)> {
        parse(file.as_bytes()).expect("outputs").into_iter().collect()
    }

    fn error(file: &str) -> String {
        parse(file.as_bytes()).expect_err("a fault").to_string()
    }

    #[test]
    fn lines_and_blocks_are_read_and_the_later_value_holds() {
        let file = "rows=1\r\n\nreport<<END\na=b\n\n END\nEND\nrows=2\nempty=\nlist=[\"a<<b\"]\n url = x \n";
        let expected =
            [("empty", ""), ("list", "[\"a<<b\"]"), ("report", "a=b\n\n END"), ("rows", "2"), ("url", " x ")];
        assert_eq!(outputs(file), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(outputs("").is_empty());
    }

    #[test]
    fn a_block_may_be_empty_and_its_delimiter_may_contain_an_equals_sign() {
        assert_eq!(outputs("a<<E=F\nE=F"), [("a".to_owned(), String::new())]);
    }

    #[test]
    fn a_fault_names_its_line_and_what_to_write() {
        assert_eq!(
            error("a=1\n\nhello\n"),
            "line 3 of $HONK_OUTPUT is no output: write `name=value`, or `name<<END`, lines, and a line `END`"
        );
        assert!(error("a=1\n1a=2").starts_with("line 2 of $HONK_OUTPUT names an output \"1a\""));
        assert!(error("=2").contains("names an output \"\""));
        assert!(error(&format!("{}=2", "n".repeat(64))).contains("1 to 63"));
        assert!(error("a=1\nb<<END\nx\n").starts_with("line 2 of $HONK_OUTPUT begins a value"));
        assert_eq!(parse(b"a=1\nb=\xff"), Err(OutputsError::NotText { line: 2 }));
        assert_eq!(
            parse(&vec![b'\n'; MAX_OUTPUT_BYTES + 1]),
            Err(OutputsError::TooLarge { bytes: MAX_OUTPUT_BYTES + 1 })
        );
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read_or_refused(file in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            parse(&file).ok();
        }

        #[test]
        fn what_is_written_is_read(name in "[A-Za-z_][A-Za-z0-9_-]{0,62}", value in "[^\r\n]{0,50}") {
            proptest::prop_assert_eq!(outputs(&format!("{name}={value}\n")), [(name, value)]);
        }
    }
}
