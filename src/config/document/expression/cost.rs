//! What it may take at most to evaluate an expression over a body of so many bytes, known when the
//! config is read.
//!
//! A tree is evaluated once, what a macro does once for each element, and a list of JSON has at
//! most one element for each two bytes. Some calls go through a whole value: for those each byte
//! counts. `benches/judging.rs` measures the factors.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, operators};

use super::numbers::MATCHES;
use super::parts::parts;

/// To read JSON into values, for each byte.
const READ_NS: u64 = 60;
/// A node of the tree.
const NODE_NS: u64 = 80;
/// A call that goes through a value or copies it, for each byte of it.
const THROUGH_NS: u64 = 30;
/// An element that lacks what is asked of it costs the text of an error, and an expression that is
/// not met is evaluated again for its explanation.
const UNMET: u64 = 5;
/// A pattern: it may have to be compiled.
const PATTERN_NS: u64 = 10_000_000;

/// The cost of an expression, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    once: u64,
    once_for_each_byte: u64,
    each: u64,
    each_for_each_byte: u64,
}

impl Cost {
    pub fn of(tree: &IdedExpr) -> Self {
        let mut cost = Self {
            once_for_each_byte: READ_NS,
            ..Self::default()
        };
        cost.add(tree, Repetition::Once);
        cost
    }

    pub fn ns(&self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        let elements = bytes / 2 + 1;
        let each = self
            .each
            .saturating_mul(UNMET)
            .saturating_add(self.each_for_each_byte.saturating_mul(bytes));
        self.once
            .saturating_add(self.once_for_each_byte.saturating_mul(bytes))
            .saturating_add(each.saturating_mul(elements))
    }

    /// One evaluation over a body that is read, with so many elements at most.
    pub fn evaluation_ns(&self, elements: usize, bytes: usize) -> u64 {
        let (elements, bytes) = (elements as u64, bytes as u64);
        let each = self.each.saturating_add(
            self.each_for_each_byte
                .saturating_mul(bytes / (elements + 1)),
        );
        let once = self
            .once
            .saturating_add((self.once_for_each_byte - READ_NS).saturating_mul(bytes));
        once.saturating_add(each.saturating_mul(elements))
    }

    fn add(&mut self, node: &IdedExpr, times: Repetition) {
        let for_each_byte = if let Expr::Call(call) = &node.expr {
            // Compiled once, however many elements it is held against.
            self.once = self.once.saturating_add(fixed(call));
            if goes_through(call) { THROUGH_NS } else { 0 }
        } else {
            0
        };
        let (own, of_bytes) = match times {
            Repetition::Once => (&mut self.once, &mut self.once_for_each_byte),
            Repetition::ForEachElement => (&mut self.each, &mut self.each_for_each_byte),
        };
        *own = own.saturating_add(NODE_NS);
        *of_bytes = of_bytes.saturating_add(for_each_byte);
        let Expr::Comprehension(walk) = &node.expr else {
            return parts(node).into_iter().for_each(|n| self.add(n, times));
        };
        [&walk.iter_range, &walk.accu_init, &walk.result]
            .into_iter()
            .for_each(|n| self.add(n, times));
        [&walk.loop_cond, &walk.loop_step]
            .into_iter()
            .for_each(|n| self.add(n, Repetition::ForEachElement));
    }
}

/// How often a node is evaluated.
#[derive(Clone, Copy)]
enum Repetition {
    Once,
    ForEachElement,
}

fn fixed(call: &CallExpr) -> u64 {
    if call.func_name == MATCHES {
        PATTERN_NS
    } else {
        0
    }
}

/// Whether a call may look at, or copy, more than one scalar: no logic, and no comparison with a
/// literal.
fn goes_through(call: &CallExpr) -> bool {
    let is_literal = |node: &IdedExpr| matches!(node.expr, Expr::Literal(_));
    match call.func_name.as_str() {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::NOT_STRICTLY_FALSE
        | operators::CONDITIONAL => false,
        operators::EQUALS
        | operators::NOT_EQUALS
        | operators::LESS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS => !call.args.iter().any(is_literal),
        operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT | operators::NEGATE => {
            false
        }
        "@sub" | "@mul" | "@div" | "@rem" | "size" | "type" => false,
        "@add" => !call
            .args
            .iter()
            .any(|n| matches!(&n.expr, Expr::Literal(l) if !is_text(l))),
        // A macro appends to its own result in place.
        operators::ADD => false,
        _ => true,
    }
}

fn is_text(literal: &cel::common::ast::LiteralValue) -> bool {
    use cel::common::ast::LiteralValue;
    matches!(literal, LiteralValue::String(_) | LiteralValue::Bytes(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::expression::numbers::{environment, rewritten};

    fn ns(text: &str, bytes: usize) -> u64 {
        let tree = environment()
            .compile(text)
            .expect(text)
            .expression()
            .clone();
        Cost::of(&rewritten(tree)).ns(bytes)
    }

    #[test]
    fn a_macro_costs_for_each_element_and_a_member_does_not() {
        let (small, large) = (1000, 10_000);
        assert!(ns("body.status == 'ok'", large) < 1_000_000);
        assert!(
            ns("body.all(x, x < 3)", large) > 9 * ns("body.all(x, x < 3)", small),
            "linear"
        );
        let many = (0..25)
            .map(|n| format!("x != {n}"))
            .collect::<Vec<_>>()
            .join(" && ");
        assert!(ns(&format!("body.all(x, {many})"), small) > 10 * ns("body.all(x, x != 1)", small));
    }

    #[test]
    fn what_goes_through_a_value_for_each_element_costs_the_square() {
        for text in [
            "body.all(x, x in body)",
            "body.all(x, x == body)",
            "body.map(x, x + x) == []",
            "body.all(x, x.contains('a'))",
            "body.all(x, string(x) != '')",
        ] {
            assert!(ns(text, 10_000) > 50 * ns(text, 1000), "{text}");
        }
        for text in [
            "body.all(x, x == 1)",
            "body.all(x, 'a' != x)",
            "body.map(x, x + 1) == []",
            "body.all(x, size(x) > 1)",
            "body.filter(x, x.ok).size() > 1",
        ] {
            assert!(ns(text, 10_000) < 12 * ns(text, 1000), "{text}");
        }
    }

    #[test]
    fn a_pattern_is_never_small() {
        assert!(ns("body.name.matches('^a$')", 10) >= PATTERN_NS);
        assert!(ns("matches(body.name, '^a$')", 10) >= PATTERN_NS);
    }
}
