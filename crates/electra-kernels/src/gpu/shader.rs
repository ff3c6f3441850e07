//! Shader texts: WGSL with a few lines of directives, expanded when a variant is first launched.
//!
//! WGSL has no preprocessor, and a kernel must exist in variants: unrolled for its tile, with or without bias, staged
//! in workgroup memory or not. The directives stand behind `//#`, and values between double braces:
//!
//! ```text
//! //#include noise            the file shaders/common/noise.wgsl
//! //#if BIAS && !STAGED       an integer expression over the defines; 0 is false
//! //#else
//! //#for i in 0..ROWS         repeats its lines with {{i}} = 0, 1, ...
//! //#end
//! let x{{i}} = a[{{i * 4 + 1}}u];
//! ```
//!
//! All defines are integers, so that a variant is told from another by its numbers, which are its kernel's id.

use std::fmt::Write;

/// A shader: its stem in its folder of `shaders/` and its text.
#[derive(Debug)]
pub(crate) struct Shader {
    /// As launch logs show it: `electra::NAME`.
    pub(crate) name: &'static str,
    text: &'static str,
}

impl Shader {
    pub(crate) const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }

    /// The WGSL of one variant.
    ///
    /// # Panics
    /// If a directive is malformed or a name not defined: a mistake in the shader or its launch.
    pub(crate) fn expand(&self, defines: &[Define]) -> String {
        let mut scope: Vec<Define> = defines.to_vec();
        let mut output = String::with_capacity(2 * self.text.len());
        let lines: Vec<&str> = self.text.lines().collect();
        expand(self, &lines, &mut scope, &mut output);
        output
    }

    fn fail(&self, line: &str, problem: &str) -> ! {
        panic!("{}: {problem} in \"{}\"", self.name, line.trim())
    }
}

/// A name and its value.
pub(crate) type Define = (&'static str, i64);

/// A shader of `shaders/`, by its folder, which is the operation's, and its stem.
macro_rules! shader {
    ($folder:literal, $stem:literal) => {
        $crate::gpu::shader::Shader::new(
            concat!("electra::", $stem),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shaders/", $folder, "/", $stem, ".wgsl")),
        )
    };
}
pub(crate) use shader;

macro_rules! common {
    ($($stem:literal),*) => {
        &[$(($stem, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shaders/common/", $stem, ".wgsl")))),*]
    };
}

/// What `//#include` finds.
const COMMON: &[(&str, &str)] = common![
    "attention",
    "cooperative_matrix",
    "cooperative_matrix_emulated",
    "gelu",
    "gumbel",
    "launch",
    "noise",
    "noise_part",
    "part",
    "product",
    "product_fours",
    "reduce"
];

fn expand(shader: &Shader, lines: &[&str], scope: &mut Vec<Define>, output: &mut String) {
    let mut index = 0;
    while index < lines.len() {
        let line = lines[index];
        index += 1;
        let Some(directive) = line.trim_start().strip_prefix("//#") else {
            substitute(shader, line, scope, output);
            continue;
        };
        let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        match word {
            "include" => {
                let found = COMMON.iter().find(|(name, _)| *name == rest.trim());
                let (_, text) = found.unwrap_or_else(|| shader.fail(line, "unknown file"));
                let lines: Vec<&str> = text.lines().collect();
                expand(shader, &lines, scope, output);
            }
            "if" => {
                let (otherwise, end) = block(shader, lines, index);
                let chosen = if evaluate(shader, rest, scope) != 0 {
                    index..otherwise.unwrap_or(end)
                } else {
                    otherwise.map_or(end, |otherwise| otherwise + 1)..end
                };
                expand(shader, &lines[chosen], scope, output);
                index = end + 1;
            }
            "for" => {
                let (_, end) = block(shader, lines, index);
                let Some((name, range)) = rest.split_once(" in ") else { shader.fail(line, "no range") };
                let Some((first, last)) = range.split_once("..") else { shader.fail(line, "no range") };
                let (first, last) = (evaluate(shader, first, scope), evaluate(shader, last, scope));
                // Loop variables have names of their own lives; shaders are few, and each is leaked once a variant.
                let name: &'static str = LOOP_NAMES
                    .iter()
                    .find(|known| **known == name.trim())
                    .unwrap_or_else(|| shader.fail(line, "loops run over i, j, k or l"));
                for value in first..last {
                    scope.push((name, value));
                    expand(shader, &lines[index..end], scope, output);
                    scope.pop();
                }
                index = end + 1;
            }
            _ => shader.fail(line, "unknown directive"),
        }
    }
}

const LOOP_NAMES: [&str; 4] = ["i", "j", "k", "l"];

/// The lines of the `else`, if any, and of the `end` that belong to the block whose first line is `start`.
fn block(shader: &Shader, lines: &[&str], start: usize) -> (Option<usize>, usize) {
    let (mut depth, mut otherwise) = (0, None);
    for (index, line) in lines.iter().enumerate().skip(start) {
        let Some(directive) = line.trim_start().strip_prefix("//#") else { continue };
        match directive.split(' ').next() {
            Some("if" | "for") => depth += 1,
            Some("else") if depth == 0 => otherwise = Some(index),
            Some("end") if depth == 0 => return (otherwise, index),
            Some("end") => depth -= 1,
            _ => {}
        }
    }
    shader.fail(lines[start - 1], "no //#end")
}

/// Appends `line` with the values of its `{{expressions}}`.
fn substitute(shader: &Shader, line: &str, scope: &[Define], output: &mut String) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((expression, after)) = after.split_once("}}") else { shader.fail(line, "unclosed braces") };
        let value = evaluate(shader, expression, scope);
        let _ = write!(output, "{before}{value}");
        rest = after;
    }
    output.push_str(rest);
    output.push('\n');
}

fn evaluate(shader: &Shader, text: &str, scope: &[Define]) -> i64 {
    let mut parser = Parser { shader, text, rest: text, scope };
    let value = parser.expression(0);
    if !parser.rest.trim().is_empty() {
        shader.fail(text, "rest of an expression not understood");
    }
    value
}

/// Integer expressions with C's operators and precedence.
struct Parser<'a> {
    shader: &'a Shader,
    text: &'a str,
    rest: &'a str,
    scope: &'a [Define],
}

/// Longer ones first; with their precedence.
const OPERATORS: [(&str, u8); 12] = [
    ("||", 1),
    ("&&", 2),
    ("==", 3),
    ("!=", 3),
    ("<=", 4),
    (">=", 4),
    ("<", 4),
    (">", 4),
    ("+", 5),
    ("-", 5),
    ("*", 6),
    ("/", 6),
];

impl Parser<'_> {
    fn take(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expression(&mut self, least: u8) -> i64 {
        let mut left = self.operand();
        'operators: loop {
            for (operator, precedence) in OPERATORS {
                if precedence < least.max(1) || !self.rest.trim_start().starts_with(operator) {
                    continue;
                }
                self.take(operator);
                let right = self.expression(precedence + 1);
                left = match operator {
                    "||" => i64::from(left != 0 || right != 0),
                    "&&" => i64::from(left != 0 && right != 0),
                    "==" => i64::from(left == right),
                    "!=" => i64::from(left != right),
                    "<=" => i64::from(left <= right),
                    ">=" => i64::from(left >= right),
                    "<" => i64::from(left < right),
                    ">" => i64::from(left > right),
                    "+" => left + right,
                    "-" => left - right,
                    "*" => left * right,
                    _ => left / right,
                };
                continue 'operators;
            }
            return left;
        }
    }

    fn operand(&mut self) -> i64 {
        if self.take("!") {
            return i64::from(self.operand() == 0);
        }
        if self.take("(") {
            let value = self.expression(0);
            if !self.take(")") {
                self.shader.fail(self.text, "unclosed parenthesis");
            }
            return value;
        }
        let rest = self.rest.trim_start();
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let word = &rest[..length];
        self.rest = &rest[length..];
        if let Ok(number) = word.parse() {
            return number;
        }
        let found = self.scope.iter().rev().find(|(name, _)| *name == word);
        found.unwrap_or_else(|| self.shader.fail(self.text, &format!("\"{word}\" is not defined"))).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &'static str, defines: &[Define]) -> String {
        Shader::new("test", text).expand(defines)
    }

    #[test]
    fn expressions_have_the_usual_precedence() {
        let value = |text| evaluate(&Shader::new("test", ""), text, &[("A", 3), ("B", 0)]);
        assert_eq!(value("1 + A * 4"), 13);
        assert_eq!(value("(1 + A) * 4 - 2 - 1"), 13);
        assert_eq!(value("A == 3 && !B"), 1);
        assert_eq!(value("B || A < 2"), 0);
        assert_eq!(value("A / 2 + 7 >= 8"), 1);
        assert_eq!(value("A != 3"), 0);
    }

    #[test]
    fn blocks_nest_and_loops_unroll() {
        let text = "//#if A\n//#for i in 0..A\n//#for j in i..2\nx{{i}}_{{j + 1}};\n//#end\n//#end\n//#else\nnone\n//#end\nlast";
        assert_eq!(expanded(text, &[("A", 2)]), "x0_1;\nx0_2;\nx1_2;\nlast\n");
        assert_eq!(expanded(text, &[("A", 0)]), "none\nlast\n");
    }

    #[test]
    #[should_panic(expected = "\"C\" is not defined")]
    fn an_unknown_name_is_named() {
        expanded("{{C}}", &[]);
    }
}
