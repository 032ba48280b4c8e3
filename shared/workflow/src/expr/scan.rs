//! The words and signs of an expression. minijinja compiles and evaluates; what it does not tell, such as where an expression ends, which
//! names it uses and how, is read here.

/// A word or sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name or keyword. After a dot it may hold hyphens, as names of jobs and of fields do.
    Name(&'a str),
    /// A quoted text, without its quotes.
    Text(&'a str),
    /// A number.
    Number(&'a str),
    /// One sign, or two that belong together (`==`, `&&`, …).
    Sign(&'a str),
}

/// Signs of two characters.
const PAIRS: [&str; 9] = ["==", "!=", "<=", ">=", "&&", "||", "//", "**", "=~"];

/// Where the expression ends whose braces were opened before `inside`: the byte at which its `}}` begins. Braces in quoted texts, and those
/// of a mapping within the expression, close nothing.
pub(super) fn end(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'\'' | b'"' => at += quoted(&inside[at..])?,
            b'{' => (at, depth) = (at + 1, depth + 1),
            b'}' if depth > 0 => (at, depth) = (at + 1, depth - 1),
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// How long the quoted text is that `text` begins with, quotes included. `None` if it is not closed.
fn quoted(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == bytes[0] => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// The words and signs of `source`, each with the byte at which it begins. Whatever is none of them is a sign of its own.
pub(super) fn tokens(source: &str) -> Vec<(usize, Token<'_>)> {
    let mut found: Vec<(usize, Token<'_>)> = Vec::new();
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let after_dot = matches!(found.last(), Some((_, Token::Sign("."))));
        let length = match first {
            _ if first.is_whitespace() => first.len_utf8(),
            '\'' | '"' => {
                let length = quoted(rest).unwrap_or(rest.len());
                found.push((at, Token::Text(rest.get(1..length - 1).unwrap_or_default())));
                length
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = name(rest, after_dot);
                found.push((at, Token::Name(&rest[..length])));
                length
            }
            '0'..='9' => {
                let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                found.push((at, Token::Number(&rest[..length])));
                length
            }
            _ => {
                let pair = PAIRS.into_iter().find(|pair| rest.starts_with(pair));
                let length = pair.map_or(first.len_utf8(), str::len);
                found.push((at, Token::Sign(&rest[..length])));
                length
            }
        };
        at += length;
    }
    found
}

/// The length of the name that `rest` begins with. After a dot a hyphen between letters or digits belongs to it: whoever means a minus puts
/// spaces around it.
fn name(rest: &str, after_dot: bool) -> usize {
    let bytes = rest.as_bytes();
    let is_part = |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let belongs = |at: &usize| is_part(*at) || (after_dot && bytes.get(*at) == Some(&b'-') && is_part(*at + 1));
    (0..bytes.len()).take_while(belongs).count()
}

/// The source as minijinja reads it: `.a-b` becomes `['a-b']`.
pub(super) fn without_hyphens(source: &str) -> String {
    let mut written = String::with_capacity(source.len() + 8);
    let mut done = 0;
    let tokens = tokens(source);
    for pair in tokens.windows(2) {
        if let [(dot, Token::Sign(".")), (at, Token::Name(name))] = pair
            && name.contains('-')
        {
            written.push_str(&source[done..*dot]);
            written.extend(["['", name, "']"]);
            done = at + name.len();
        }
    }
    written.push_str(&source[done..]);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_ends_where_its_own_braces_close() {
        for (inside, expected) in [
            (" a }} b }}", Some(" a ")),
            (" '}}' }}", Some(" '}}' ")),
            (r#" "\"}}" }}"#, Some(r#" "\"}}" "#)),
            (" {'a': {'b': 1}}}}", Some(" {'a': {'b': 1}}")),
            (" a {{ b }}", None),
            (" 'a }}", None),
            (" a }", None),
            (" '\\", None),
        ] {
            assert_eq!(end(inside).map(|at| &inside[..at]), expected, "{inside}");
        }
    }

    #[test]
    fn a_hyphen_after_a_dot_belongs_to_the_name_unless_spaces_surround_it() {
        for (source, expected) in [
            ("jobs.build-index.outputs.a-1", "jobs['build-index'].outputs['a-1']"),
            ("a.b - c.d", "a.b - c.d"),
            ("a.b -c", "a.b -c"),
            ("a-b", "a-b"),
            ("'x.y-z' ~ a.b-", "'x.y-z' ~ a.b-"),
        ] {
            assert_eq!(without_hyphens(source), expected);
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in ["'", "\"", "'\\", "ä.ö-ü", "..--", "\u{0}", "1.2.3", "a.", "{", "'ä"] {
            tokens(text);
            without_hyphens(text);
            end(text);
        }
    }
}
