//! README files and doc comments to paragraphs of prose. No Markdown parser: a line rule or two is enough for a corpus.

/// The doc comments of a Rust file, as Markdown.
pub(super) fn doc_comments(source: &str) -> String {
    let mut text = String::new();
    for line in source.lines() {
        let line = line.trim_start();
        let comment =
            line.strip_prefix("//!").or_else(|| line.strip_prefix("///").filter(|rest| !rest.starts_with('/')));
        // Anything else ends a comment and so a paragraph.
        text.push_str(comment.unwrap_or_default());
        text.push('\n');
    }
    text
}

/// The text's paragraphs, headings and list items, a line each; code, tables, HTML and badges left out.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut fence: Option<&str> = None;
    let mut end = |current: &mut String| {
        let line = plain(current);
        if line.split_whitespace().count() > 1 && line.contains(char::is_alphabetic) {
            lines.push(line);
        }
        current.clear();
    };
    for raw in text.lines() {
        let line = raw.trim();
        if let Some(open) = fence {
            if line.starts_with(open) {
                fence = None;
            }
            continue;
        }
        if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark)) {
            end(&mut current);
            fence = Some(mark);
            continue;
        }
        let is_indented_code = current.is_empty() && (raw.starts_with("     ") || raw.starts_with('\t'));
        let is_markup = line.starts_with(['|', '<']) || line.starts_with("[![") || is_link_definition(line);
        if line.is_empty() || is_indented_code || is_markup {
            end(&mut current);
            continue;
        }
        let item = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).or_else(|| line.strip_prefix("> "));
        let heading = line.trim_start_matches('#');
        if item.is_some() || heading.len() < line.len() {
            end(&mut current);
        }
        current.push_str(item.unwrap_or(heading));
        current.push(' ');
        if heading.len() < line.len() {
            end(&mut current);
        }
    }
    end(&mut current);
    lines
}

/// `[name]: target`
fn is_link_definition(line: &str) -> bool {
    line.starts_with('[') && line.contains("]:")
}

/// Links to their text, emphasis and code marks removed, white space joined.
fn plain(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    let mut characters = markdown.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '`' | '[' => {}
            '*' => {}
            ']' => {
                // The target behind a link's text.
                let close = match characters.peek() {
                    Some('(') => ')',
                    Some('[') => ']',
                    _ => continue,
                };
                for skipped in characters.by_ref() {
                    if skipped == close {
                        break;
                    }
                }
            }
            _ => text.push(character),
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_kept() {
        let source = "//! A crate for *things*,\n//! see [`Thing`](struct.Thing.html).\n//!\n//! ```\n//! let code = 1;\n//! ```\n\
                      //! # How it works\nfn f() {}\n/// Makes a [thing][1].\n//// no doc\nstruct S;\n";
        assert_eq!(
            paragraphs(&doc_comments(source)),
            ["A crate for things, see Thing.", "How it works", "Makes a thing."]
        );
        let readme = "# The title\n\n[![badge](x)](y)\n<p>html</p>\n- item one\n- item two\n  goes on\n\n| a | b |\n";
        assert_eq!(paragraphs(readme), ["The title", "item one", "item two goes on"]);
    }
}
