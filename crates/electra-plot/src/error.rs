//! What cannot be drawn, each as one message.

/// An error of this crate. Its text is the whole message a user needs.
#[derive(Debug, PartialEq, thiserror::Error)]
// The text of each says what it and its fields are.
#[expect(missing_docs)]
pub enum PlotError {
    /// A row that is none.
    #[error("{run}: line {line} of {file} is not a row ({reason}); remove the line, or copy the file again")]
    Row { run: String, file: &'static str, line: usize, reason: String },
    /// There is nothing to show.
    #[error("{runs}: no row with a number yet; a run writes its first after train.log_every steps")]
    Empty { runs: String },
    /// No run has such a column.
    #[error("no run has the metric \"{name}\"; there are {known}")]
    UnknownMetric { name: String, known: String },
    /// A run does not say what stands on the horizontal axis.
    #[error("{run}: it does not record {what}; leave out --x for steps")]
    NoAxis { run: String, what: &'static str },
    /// More runs than can be told apart.
    #[error("{given} runs; {most} can be told apart by colour and dashes: plot fewer at a time")]
    TooMany { given: usize, most: usize },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, PlotError>;
