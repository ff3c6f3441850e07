//! Are the tables one that the configuration says are shared? Paper, section 3.2.

use super::record::{EXPORTS, Record};
use super::{Finding, number};

/// Tables that one sentence names; the others are counted.
const NAMED: usize = 3;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let untied = &record.untied;
    if untied.is_empty() && record.tables_seen.is_empty() {
        return Vec::new();
    }
    if untied.is_empty() {
        let evidence = format!("in {}", record.tables_seen.join(" and "));
        return vec![Finding::fine("generator and discriminator share their tables", evidence)];
    }
    let named: Vec<String> = untied
        .iter()
        .take(NAMED)
        .map(|untied| {
            let apart = untied.difference.map_or("of other shapes".to_owned(), |by| format!("up to {} apart", number(by)));
            format!("{} in {} ({apart})", untied.table, untied.place)
        })
        .collect();
    let more = untied.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let remedy = if untied.iter().any(|untied| untied.place != EXPORTS) {
        "the checkpoint was changed by another program or is of another run: resume from an older one, or begin again"
    } else {
        "one of discriminator/ and generator/ is of another run or step: export both again with \"electra export\""
    };
    let sharing = record.config.model.sharing.name();
    let what = format!("model.sharing is \"{sharing}\", but generator and discriminator have different tables");
    vec![Finding::wrong(what, format!("{}{more}", named.join("; ")), remedy)]
}
