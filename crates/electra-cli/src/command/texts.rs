//! The texts that `detect` and `fill` are given: arguments, or standard input line by line.

use std::io::{BufRead, Write};

use anyhow::Context;

/// Calls `each` with every one of `texts`; without any, with every line of standard input.
pub(super) fn for_each(texts: &[String], mut each: impl FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for text in texts {
        each(text)?;
    }
    if !texts.is_empty() {
        return Ok(());
    }
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line.with_context(|| {
            format!("standard input, line {}: not UTF-8 text; convert it first, with iconv for example", number + 1)
        })?;
        each(&line)?;
        // A reader of a slow pipe sees each line when it is done.
        std::io::stdout().flush()?;
    }
    Ok(())
}
