//! Why an expression cannot be read, and why one that can be read has no value.

use std::borrow::Cow;

use crate::diagnostic::quote;

/// Why a text's expressions cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// `{{` without `}}`.
    #[error("the expression that begins with {} is not closed", quote(.0))]
    Unclosed(String),
    /// `${{ … }}`, as GitHub writes it.
    #[error("an expression begins with `{{{{`, not with `${{{{`")]
    Dollar,
    /// Nothing between the braces.
    #[error("the expression is empty")]
    Empty,
    /// More characters than an expression may have.
    #[error("the expression that begins with {} is longer than {} bytes", quote(.0), super::MAX_LENGTH)]
    TooLong(String),
    /// Text around the braces where one expression alone is expected.
    #[error("there is text beside the braces of {}", quote(.0))]
    Mixed(String),
    /// A sign that means something elsewhere.
    #[error("{} has {}, which is no operator here", quote(.expression), quote(.sign))]
    Operator {
        /// The expression.
        expression: String,
        /// The sign.
        sign: String,
        /// What to write instead.
        instead: &'static str,
    },
    /// A name that is not there: a root, a field of `run`, a filter, a test or a function.
    #[error("{} uses the {what} {}, which does not exist", quote(.expression), quote(.name))]
    Unknown {
        /// The expression.
        expression: String,
        /// What it would be: "name", "filter", …
        what: &'static str,
        /// The name.
        name: String,
        /// What to write instead.
        help: String,
    },
    /// Anything else that minijinja refuses.
    #[error("{} is not an expression: {reason}", quote(.expression))]
    Syntax {
        /// The expression.
        expression: String,
        /// What minijinja says.
        reason: String,
    },
}

impl ExprError {
    /// The stable name of the kind of fault.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unclosed(_) => "expression-unclosed",
            Self::Dollar => "expression-dollar",
            Self::Unknown { .. } => "expression-unknown",
            Self::Operator { .. } => "expression-operator",
            Self::Empty | Self::TooLong(_) | Self::Mixed(_) | Self::Syntax { .. } => "expression-syntax",
        }
    }

    /// What to write instead.
    pub fn help(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Unclosed(_) => "close it with `}}`; braces that are meant literally are written `{{ '{{' }}`",
            Self::Dollar => "remove the `$`",
            Self::Empty => "write an expression like `{{ input.dataset_name }}`",
            Self::TooLong(_) => "compute the value in a step, and use that step's output",
            Self::Mixed(_) => "write the whole text as one expression, with or without braces around it",
            Self::Operator { instead, .. } => instead,
            Self::Unknown { help, .. } => return Cow::Owned(help.clone()),
            Self::Syntax { .. } => {
                "expressions are written as in Jinja, like `{{ input.dataset_name }}`; braces that are meant literally are \
                 written `{{ '{{' }}`"
            }
        })
    }
}

/// Why an expression has no value that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A name that is not there now.
    #[error("{} uses `{name}`, which is not there", quote(.expression))]
    Undefined {
        /// The expression.
        expression: String,
        /// The name, as a path.
        name: String,
    },
    /// Nothing, where text is needed.
    #[error("{} is null, which is no text; give it a value with `| default('…', true)`", quote(.0))]
    Null(String),
    /// An operation that its operands do not allow.
    #[error("{} cannot be evaluated: {reason}", quote(.expression))]
    Failed {
        /// The expression.
        expression: String,
        /// What minijinja says.
        reason: String,
    },
    /// More than [`super::MAX_RESULT`] bytes.
    #[error("{} is longer than {} bytes", quote(.0), super::MAX_RESULT)]
    TooLong(String),
    /// A stored text whose expressions cannot be read.
    #[error(transparent)]
    Invalid(#[from] ExprError),
}
