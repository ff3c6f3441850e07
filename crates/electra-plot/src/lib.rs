//! The curves of runs as pictures: rows of metrics.jsonl to SVG, or to a page of HTML that needs nothing else.
//!
//! Text in, text out: no Burn, no files, no scripts, so that it builds in seconds and a page can draw the same pictures. It knows
//! no metric by its meaning, but for the list of those that are shown unasked ([`usual`]): any column of numbers is a curve.
//!
//! ```
//! use electra_plot::{Options, Run, html, panels};
//!
//! let metrics = r#"{"step":10,"split":"train","loss":3.5}
//! {"step":20,"split":"train","loss":null}
//! {"step":30,"split":"train","loss":3.1}
//! "#;
//! let run = Run::parse("first", metrics, "")?;
//! let drawn = panels(std::slice::from_ref(&run), &Options::default())?;
//! assert!(html("My run", &drawn).contains("<svg"));
//! # Ok::<(), electra_plot::PlotError>(())
//! ```

#![warn(missing_docs)]

mod curves;
mod document;
mod error;
mod names;
mod panel;
mod rows;
mod scale;
mod style;

pub use curves::{Options, Panel, Series, X, panels, usual};
pub use document::{html, svg};
pub use error::{PlotError, Result};
pub use names::distinct_names;
pub use rows::Run;
pub use style::MAX_RUNS;
