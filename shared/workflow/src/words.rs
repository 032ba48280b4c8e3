//! A command line without a shell: split into words *before* values are filled in, so that a value, whatever it holds,
//! is never more than a part of one argument. Quotes and backslashes mean what they mean to a POSIX shell (2.2 Quoting);
//! nothing else means anything.

use crate::expr::{ExprError, Template};

/// Why a command cannot be split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// An expression that cannot be read.
    #[error(transparent)]
    Expr(#[from] ExprError),
    /// A quote without its end.
    #[error("a quote ({0}) is not closed")]
    Quote(char),
    /// A backslash at the end.
    #[error("the backslash at the end escapes nothing")]
    Backslash,
}

/// Splits a command into words. An expression is a part of its word whatever spaces it contains.
pub fn split(command: &str) -> Result<Vec<Template>, WordsError> {
    let mut splitter = Splitter::default();
    let mut rest = command;
    while let Some(c) = rest.chars().next() {
        if let Some(inside) = rest.strip_prefix("{{") {
            rest = splitter.word().push_expression(inside)?;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match (c, splitter.quote) {
            ('\\', None | Some('"')) => rest = splitter.escape(rest)?,
            (c, Some(quote)) if c == quote => splitter.quote = None,
            ('\'' | '"', None) => {
                // Quotes make a word even if there is nothing between them.
                splitter.word();
                splitter.quote = Some(c);
            }
            (c, None) if c.is_whitespace() => splitter.words.extend(splitter.current.take()),
            (c, _) => splitter.word().push_char(c),
        }
    }
    if let Some(quote) = splitter.quote {
        return Err(WordsError::Quote(quote));
    }
    splitter.words.extend(splitter.current.take());
    Ok(splitter.words)
}

#[derive(Default)]
struct Splitter {
    words: Vec<Template>,
    current: Option<Template>,
    /// The quote that is open.
    quote: Option<char>,
}

impl Splitter {
    fn word(&mut self) -> &mut Template {
        self.current.get_or_insert_default()
    }

    /// What follows a backslash: itself, or, between double quotes, the backslash too unless it escapes something there.
    fn escape<'a>(&mut self, rest: &'a str) -> Result<&'a str, WordsError> {
        let escaped = rest.chars().next().ok_or(WordsError::Backslash)?;
        if escaped != '\n' {
            if self.quote.is_some() && !matches!(escaped, '$' | '`' | '"' | '\\') {
                self.word().push_char('\\');
            }
            self.word().push_char(escaped);
        }
        Ok(&rest[escaped.len_utf8()..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(command: &str, value: &str) -> Vec<String> {
        let words = split(command).expect("can be split");
        let values = serde_json::json!({"input": {"x": value}});
        words.iter().map(|word| word.render(&values).expect("has its value")).collect()
    }

    #[test]
    fn words_are_split_like_a_shell_does() {
        for (command, expected) in [
            ("a  b\tc\n", vec!["a", "b", "c"]),
            (r#"a 'b c' "d 'e'" f"g"'h'"#, vec!["a", "b c", "d 'e'", "fgh"]),
            (r#"a\ b "c\"d\e" '\'"#, vec!["a b", r#"c"d\e"#, "\\"]),
            ("a '' \"\"", vec!["a", "", ""]),
            ("a \\\n b", vec!["a", "b"]),
            ("a | b > $HOME # c", vec!["a", "|", "b", ">", "$HOME", "#", "c"]),
            (" ", vec![]),
        ] {
            assert_eq!(words(command, ""), expected, "{command}");
        }
    }

    #[test]
    fn an_expression_stays_in_its_word_quoted_or_not() {
        for command in ["m -d '{{ input.x }}.y'", "m -d {{ input.x }}.y", "m -d \"{{ input.x }}.y\""] {
            assert_eq!(words(command, "'; rm -rf ~ #"), ["m", "-d", "'; rm -rf ~ #.y"], "{command}");
        }
        assert_eq!(words("docker --format '{{ '{{.Id}}' }}'", ""), ["docker", "--format", "{{.Id}}"]);
        // Whatever quotes and spaces are in the expression itself, they are not the command's.
        assert_eq!(words("m {{ input['x'] ~ ' \"b' }} c", "a '"), ["m", "a ' \"b", "c"]);
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        assert_eq!(split("a 'b"), Err(WordsError::Quote('\'')));
        assert_eq!(split("a \"b'"), Err(WordsError::Quote('"')));
        assert_eq!(split("a \\"), Err(WordsError::Backslash));
        assert!(matches!(split("a {{ b"), Err(WordsError::Expr(_))));
    }

    proptest! {
        #[test]
        fn a_value_is_one_argument_whatever_it_holds(value in any::<String>()) {
            prop_assert_eq!(words("run {{ input.x }} end", &value), ["run", value.as_str(), "end"]);
        }

        #[test]
        fn no_command_makes_it_panic(command in "[a '\"\\\\{}$\n]{0,20}") {
            prop_assert!(split(&command).is_ok() || !command.is_empty());
        }
    }
}
