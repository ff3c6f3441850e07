//! The paths that a Rust text takes from its own crate, found without a compiler: enough of the language for texts that
//! rustfmt and the compiler have seen.

use std::collections::{BTreeMap, BTreeSet};

/// A module's path from the crate's root, which is empty.
pub(crate) type Module = Vec<String>;

/// Every path of `text`, the file of `module`, into its own crate: the module and the item there.
pub(crate) fn imports(module: &Module, text: &str) -> BTreeSet<Module> {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, names: BTreeMap::new(), found: BTreeSet::new() };
    // What the text imports first: a name may be used above its import.
    reader.walk(module, true);
    reader.walk(module, false);
    reader.found
}

/// Names, `::`, and single signs.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            i += chars[i..].iter().take_while(|c| **c != '\n').count();
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' {
            // A character, or a lifetime.
            if at(i + 1) == '\\' || at(i + 2) == '\'' {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                i += chars[i.min(chars.len())..].iter().take_while(|c| **c != '\'').count() + 1;
            } else {
                i += 1 + chars[i + 1..].iter().take_while(|c| is_name(c)).count();
            }
        } else if is_name(&c) {
            let name: String = chars[i..].iter().take_while(|c| is_name(c)).collect();
            i += name.chars().count();
            let hashes = chars[i.min(chars.len())..].iter().take_while(|c| **c == '#').count();
            if ["r", "br", "cr"].contains(&name.as_str()) && at(i + hashes) == '"' {
                let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                let rest: String = chars[i + hashes + 1..].iter().collect();
                let length = rest.find(&end).map_or(rest.chars().count(), |bytes| rest[..bytes].chars().count());
                i += hashes + 1 + length + end.chars().count();
            } else {
                tokens.push(name);
            }
        } else if c == ':' && at(i + 1) == ':' {
            tokens.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            i += 1;
        }
    }
    tokens
}

struct Reader<'a> {
    tokens: &'a [String],
    /// What names stand for, wherever in the file they were imported or declared.
    names: BTreeMap<String, Module>,
    found: BTreeSet<Module>,
}

impl Reader<'_> {
    fn token(&self, i: usize) -> &str {
        self.tokens.get(i).map_or("", String::as_str)
    }

    fn is_name(&self, i: usize) -> bool {
        self.token(i).starts_with(|c: char| c.is_alphanumeric() || c == '_')
    }

    /// Goes through the text; `imports_only`: its `use` and `mod` alone.
    fn walk(&mut self, file: &Module, imports_only: bool) {
        // Modules within the file, with the depth of braces outside them.
        let (mut inside, mut depth) = (Vec::<(String, usize)>::new(), 0usize);
        let mut i = 0;
        while i < self.tokens.len() {
            let module = || file.iter().cloned().chain(inside.iter().map(|(name, _)| name.clone())).collect::<Module>();
            match self.token(i) {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    inside.pop_if(|(_, outside)| *outside == depth);
                }
                "mod" if self.is_name(i + 1) => {
                    let name = self.token(i + 1).to_owned();
                    if self.token(i + 2) == "{" {
                        inside.push((name, depth));
                    } else if self.token(i + 2) == ";" {
                        let child = module().into_iter().chain([name.clone()]).collect();
                        self.names.insert(name, child);
                        i += 2;
                    }
                    // The name is no path.
                    i += usize::from(self.token(i + 2) == "{");
                }
                "pub" if self.token(i + 1) == "(" => {
                    i += self.tokens[i..].iter().take_while(|token| *token != ")").count();
                }
                "use" => {
                    let module = module();
                    i = self.tree(&module, &[], i + 1);
                }
                _ if !imports_only && self.is_name(i) && !["::", "."].contains(&self.token(i.wrapping_sub(1))) => {
                    let mut path = vec![self.token(i).to_owned()];
                    while self.token(i + 1) == "::" && self.is_name(i + 2) {
                        path.push(self.token(i + 2).to_owned());
                        i += 2;
                    }
                    if path.len() > 1
                        && let Some(path) = self.absolute(&module(), &path)
                    {
                        self.found.insert(path);
                    }
                }
                _ => {}
            }
            i += 1;
        }
    }

    /// Reads a tree of `use` behind `prefix`, from token `i`; returns where it ends.
    fn tree(&mut self, module: &Module, prefix: &[String], mut i: usize) -> usize {
        let mut path = prefix.to_vec();
        loop {
            match self.token(i) {
                "{" => {
                    i += 1;
                    while !["}", ""].contains(&self.token(i)) {
                        i = self.tree(module, &path, i);
                        i += usize::from(self.token(i) == ",");
                    }
                    return i + 1;
                }
                "*" => {
                    self.import(module, &path, None);
                    return i + 1;
                }
                "::" => i += 1,
                "as" => {
                    let name = self.token(i + 1).to_owned();
                    self.import(module, &path, Some(name));
                    return i + 2;
                }
                _ if self.is_name(i) => {
                    // Of `a::{self}` it is a.
                    if self.token(i) != "self" || path.is_empty() {
                        path.push(self.token(i).to_owned());
                    }
                    i += 1;
                }
                _ => {
                    let name = path.last().cloned();
                    self.import(module, &path, name);
                    return i;
                }
            }
        }
    }

    fn import(&mut self, module: &Module, path: &[String], name: Option<String>) {
        let Some(path) = self.absolute(module, path) else { return };
        if let Some(name) = name {
            self.names.insert(name, path.clone());
        }
        self.found.insert(path);
    }

    /// The path from the crate's root; `None` where it leads out of the crate, or is a name alone.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Module::new(),
            "self" => module.clone(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            name => self.names.get(name)?.clone(),
        };
        for part in rest {
            match part.as_str() {
                "super" => drop(base.pop()),
                _ => base.push(part.clone()),
            }
        }
        Some(base)
    }
}
