//! What is wrong with a file's rows: counted, and the first few remembered, so that nothing is left out silently.

use serde::{Deserialize, Serialize};

/// Places remembered of each kind of trouble.
const FIRST_PLACES: usize = 5;

/// What can be wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Not to be understood: a wrong number of fields, broken JSON, bytes that are no text. It is left out.
    Malformed,
    /// A text without a word. It is kept.
    EmptyText,
    /// No label where one is needed. It is left out.
    NoLabel,
    /// A label that the task does not know, or that is no number. It is left out.
    BadLabel,
}

impl Trouble {
    /// What it is and what was done, to stand behind a number.
    pub fn what(self) -> &'static str {
        match self {
            Self::Malformed => "malformed, left out",
            Self::EmptyText => "with an empty text, kept",
            Self::NoLabel => "without a label, left out",
            Self::BadLabel => "with a label that is none, left out",
        }
    }

    /// Whether such rows are left out.
    pub fn is_left_out(self) -> bool {
        self != Self::EmptyText
    }
}

/// Rows with one kind of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong with them.
    pub trouble: Trouble,
    /// How many there are.
    pub count: u64,
    /// The first few: file, line (in Parquet: row) from 1, and reason.
    pub first: Vec<Place>,
}

/// One row with trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Its line, from 1; in Parquet its row.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

/// All trouble with the rows of one or several files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report {
    problems: Vec<Problem>,
}

impl Report {
    /// Counts a row of `file`; `reason` is asked for only where it is remembered.
    pub fn note(&mut self, trouble: Trouble, file: &str, line: u64, reason: impl FnOnce() -> String) {
        let problem = self.problem(trouble);
        problem.count += 1;
        if problem.first.len() < FIRST_PLACES {
            problem.first.push(Place { file: file.to_owned(), line, reason: reason() });
        }
    }

    /// Adds what another file's report says.
    pub fn add(&mut self, other: &Self) {
        for Problem { trouble, count, first } in &other.problems {
            let problem = self.problem(*trouble);
            problem.count += count;
            let room = FIRST_PLACES - problem.first.len();
            problem.first.extend(first.iter().take(room).cloned());
        }
    }

    /// Rows with this trouble.
    pub fn count(&self, trouble: Trouble) -> u64 {
        self.problems.iter().find(|problem| problem.trouble == trouble).map_or(0, |problem| problem.count)
    }

    /// Rows that are left out, whatever the trouble.
    pub fn left_out(&self) -> u64 {
        self.problems.iter().filter(|problem| problem.trouble.is_left_out()).map(|problem| problem.count).sum()
    }

    /// Every kind of trouble that there is.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// One sentence for each kind of trouble: `3 rows malformed, left out (a.csv: line 7: 3 fields instead of 2; ...)`.
    pub fn sentences(&self) -> Vec<String> {
        let sentence = |problem: &Problem| {
            let places =
                problem.first.iter().map(|place| format!("{}: line {}: {}", place.file, place.line, place.reason));
            let more = if problem.count > problem.first.len() as u64 { "; ..." } else { "" };
            let rows = if problem.count == 1 { "row" } else { "rows" };
            let places: Vec<String> = places.collect();
            format!("{} {rows} {} ({}{more})", problem.count, problem.trouble.what(), places.join("; "))
        };
        self.problems.iter().map(sentence).collect()
    }

    fn problem(&mut self, trouble: Trouble) -> &mut Problem {
        let at = self.problems.iter().position(|problem| problem.trouble == trouble).unwrap_or_else(|| {
            self.problems.push(Problem { trouble, count: 0, first: Vec::new() });
            self.problems.len() - 1
        });
        &mut self.problems[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_counted_and_the_first_few_remembered() {
        let mut report = Report::default();
        for line in 2..12 {
            report.note(Trouble::Malformed, "a.csv", line, || format!("{line} fields"));
        }
        let mut other = Report::default();
        other.note(Trouble::EmptyText, "b.csv", 3, || "no word".into());
        other.note(Trouble::Malformed, "b.csv", 4, || "cut".into());
        report.add(&other);
        assert_eq!((report.count(Trouble::Malformed), report.left_out()), (11, 11));
        let sentences = report.sentences();
        assert!(sentences[0].starts_with("11 rows malformed, left out (a.csv: line 2: 2 fields; "), "{sentences:?}");
        assert!(sentences[0].ends_with("; ...)") && !sentences[0].contains("line 7"), "{sentences:?}");
        assert_eq!(sentences[1], "1 row with an empty text, kept (b.csv: line 3: no word)");
    }
}
