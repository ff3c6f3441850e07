//! A page of an mdBook to paragraphs of prose: what stands in `<main>`, without code blocks, tables and navigation.
//!
//! html5ever's tokenizer, without its tree: mdBook writes well-formed pages, and paragraphs need only a stack depth.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

/// The page's paragraphs, headings and list items, a line each; none for a page in another language than English.
pub(super) fn paragraphs(page: &str) -> Vec<String> {
    let english = page.find("<html").is_none_or(|at| {
        let tag = page[at..].split('>').next().unwrap_or_default();
        !tag.contains("lang=") || tag.contains("lang=\"en")
    });
    // The rest is navigation, several times the text: not worth tokenizing.
    let Some(start) = page.find("<main").filter(|_| english) else { return Vec::new() };
    let main = page[start..].split("</main>").next().unwrap_or_default();
    let sink = Paragraphs::default();
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(main));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let mut state = tokenizer.sink.state.into_inner();
    state.end_paragraph();
    state.lines
}

#[derive(Default)]
struct Paragraphs {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    current: String,
    /// Depth inside elements that are left out.
    skipped: usize,
}

impl State {
    fn end_paragraph(&mut self) {
        let line = self.current.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.contains(char::is_alphabetic) {
            self.lines.push(line);
        }
        self.current.clear();
    }
}

fn is_skipped(name: &str) -> bool {
    matches!(name, "pre" | "script" | "style" | "nav" | "table" | "svg" | "button" | "select" | "template")
}

/// Elements within a line of text; all others begin a paragraph.
fn is_inline(name: &str) -> bool {
    matches!(
        name,
        "a" | "abbr"
            | "b"
            | "cite"
            | "code"
            | "del"
            | "em"
            | "i"
            | "img"
            | "ins"
            | "kbd"
            | "mark"
            | "q"
            | "s"
            | "small"
            | "span"
            | "strong"
            | "sub"
            | "sup"
            | "u"
            | "var"
            | "wbr"
    )
}

impl TokenSink for Paragraphs {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::CharacterTokens(text) if state.skipped == 0 => state.current.push_str(&text),
            Token::TagToken(tag) => return state.tag(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl State {
    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        if is_skipped(name) {
            match tag.kind {
                TagKind::StartTag if !tag.self_closing => self.skipped += 1,
                TagKind::EndTag => self.skipped = self.skipped.saturating_sub(1),
                TagKind::StartTag => {}
            }
        }
        if self.skipped == 0 && !is_inline(name) {
            if name == "br" {
                self.current.push(' ');
            } else {
                self.end_paragraph();
            }
        }
        // What stands in these is no markup.
        match (tag.kind, name) {
            (TagKind::StartTag, "script") => TokenSinkResult::RawData(RawKind::ScriptData),
            (TagKind::StartTag, "style") => TokenSinkResult::RawData(RawKind::Rawtext),
            _ => TokenSinkResult::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_kept_and_code_left_out() {
        let page = r##"<html lang="en"><nav>menu</nav><main><h1 id="x"><a href="#x">Ownership &amp; you</a></h1>
            <p><em>Ownership</em> is a set
            of <code>rules</code>.</p><pre><code>fn main() { "<p>" }</code></pre><script>if (a < b) {}</script>
            <ul><li>one<li>two</ul><table><tr><td>cell</table><p>--</p></main><footer>end</footer></html>"##;
        assert_eq!(paragraphs(page), ["Ownership & you", "Ownership is a set of rules.", "one", "two"]);
        assert!(paragraphs("<html lang=\"ja\"><main><p>text</p></main>").is_empty());
        assert!(paragraphs("no page").is_empty());
    }
}
