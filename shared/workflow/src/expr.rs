//! Expressions in texts: `{{ input.NAME }}` is a value of the event's payload, `{{ 'TEXT' }}` is that text (to write
//! two braces). A value is filled in once and never read again, so a value that looks like an expression stays text.

/// A text with its expressions read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    /// The path below `input`, like `dataset_name`.
    Input(String),
}

/// Why a text's expressions cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// `{{` without `}}`.
    #[error("the expression that begins with {} is not closed", crate::diagnostic::quote(.0))]
    Unclosed(String),
    /// Neither `input.NAME` nor a quoted text.
    #[error("{} is not an expression that Honk knows", crate::diagnostic::quote(.0))]
    Unknown(String),
    /// `${{ … }}`, as GitHub writes it.
    #[error("an expression begins with `{{{{`, not with `${{{{`")]
    Dollar,
}

impl ExprError {
    /// What to write instead.
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Unclosed(_) => "close it with `}}`; braces that are meant literally are written `{{ '{{' }}`",
            Self::Unknown(_) => {
                "write `{{ input.NAME }}`, NAME being a field of the event's payload, like `{{ input.dataset_name }}`; \
                 braces that are meant literally are written `{{ '{{' }}`"
            }
            Self::Dollar => "remove the `$`",
        }
    }
}

impl Template {
    /// Reads the expressions of `text`; the first one that cannot be read is the error.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once("{{") {
            before.chars().for_each(|c| template.push_char(c));
            rest = template.push_expression(inside)?;
        }
        rest.chars().for_each(|c| template.push_char(c));
        Ok(template)
    }

    /// The text, if it has no inputs.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn push_char(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.parts.push(Part::Text(c.to_string())),
        }
    }

    /// Reads the expression whose braces were opened before `inside`, and answers what follows its closing ones.
    pub(crate) fn push_expression<'a>(&mut self, inside: &'a str) -> Result<&'a str, ExprError> {
        if matches!(self.parts.last(), Some(Part::Text(text)) if text.ends_with('$')) {
            return Err(ExprError::Dollar);
        }
        let (part, after) = expression(inside)?;
        match part {
            Part::Text(literal) => literal.chars().for_each(|c| self.push_char(c)),
            Part::Input(_) => self.parts.push(part),
        }
        Ok(after)
    }

    /// The inputs that the text uses, each as its path below `input`.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Input(path) => Some(path.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with every input replaced by what `lookup` answers for its path.
    ///
    /// # Errors
    /// The first path for which it answers `None`.
    pub fn render(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Input(path) => text.push_str(&lookup(path).ok_or_else(|| path.clone())?),
            }
        }
        Ok(text)
    }
}

fn expression(inside: &str) -> Result<(Part, &str), ExprError> {
    let start = inside.trim_start();
    let unclosed = || ExprError::Unclosed(format!("{{{{{}", inside.lines().next().unwrap_or_default().trim_end()));
    if let Some(quoted) = start.strip_prefix('\'') {
        let (literal, after) = quoted.split_once('\'').ok_or_else(unclosed)?;
        let after = after.trim_start().strip_prefix("}}").ok_or_else(unclosed)?;
        return Ok((Part::Text(literal.to_owned()), after));
    }
    let (body, after) = start.split_once("}}").ok_or_else(unclosed)?;
    if body.contains("{{") {
        return Err(unclosed());
    }
    let body = body.trim();
    match body.strip_prefix("input.") {
        Some(path) if path.split('.').all(is_field) => Ok((Part::Input(path.to_owned()), after)),
        _ => Err(ExprError::Unknown(format!("{{{{ {body} }}}}"))),
    }
}

fn is_field(name: &str) -> bool {
    let first = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    name.as_bytes().first().is_some_and(first) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(text: &str, value: &str) -> String {
        Template::parse(text).expect("is a template").render(|_| Some(value.to_owned())).expect("has its value")
    }

    #[test]
    fn values_are_filled_in_once() {
        assert_eq!(render("a {{ input.x }} b{{input.y.z}}", "V"), "a V bV");
        assert_eq!(render("{{ input.x }}", "{{ input.x }}"), "{{ input.x }}");
        assert_eq!(render("--format '{{ '{{.Id}}' }}'", "V"), "--format '{{.Id}}'");
        assert_eq!(render("a } b }} c { d", "V"), "a } b }} c { d");
    }

    #[test]
    fn a_missing_value_is_named() {
        let template = Template::parse("{{ input.x }}{{ input.y }}").expect("is a template");
        assert_eq!(template.inputs().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(template.render(|path| (path == "x").then(String::new)), Err("y".to_owned()));
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_reason() {
        use ExprError::{Dollar, Unclosed, Unknown};
        for (text, error) in [
            ("a {{ input.x b\nc", Unclosed("{{ input.x b".to_owned())),
            ("{{ input.x {{ input.y }}", Unclosed("{{ input.x {{ input.y }}".to_owned())),
            ("{{ 'x }}", Unclosed("{{ 'x }}".to_owned())),
            ("{{ github.actor }}", Unknown("{{ github.actor }}".to_owned())),
            ("{{ input. }}", Unknown("{{ input. }}".to_owned())),
            ("{{ input }}", Unknown("{{ input }}".to_owned())),
            ("{{}}", Unknown("{{  }}".to_owned())),
            ("${{ input.x }}", Dollar),
        ] {
            assert_eq!(Template::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_text_without_braces_stays_itself(text in ".{0,40}", braces in "[{}' a.$input]{0,40}") {
            prop_assert!(Template::parse(&braces).is_ok() || !braces.is_empty());
            if !text.contains("{{") {
                prop_assert_eq!(render(&text, "V"), text);
            }
        }
    }
}
