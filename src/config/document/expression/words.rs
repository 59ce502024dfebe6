//! Parts of a CEL expression as a person wrote them, for messages that name them.
//!
//! The parser keeps where a node begins but not where it ends, and it has replaced macros; so nodes
//! are written anew.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

use super::numbers::REPLACED;

/// A part longer than this is cut.
const SHOWN: usize = 80;

/// Operators between two operands, as the tree has them and as they are written.
const BETWEEN: [(&str, &str); 14] = [
    (operators::LOGICAL_AND, "&&"),
    (operators::LOGICAL_OR, "||"),
    (operators::EQUALS, "=="),
    (operators::NOT_EQUALS, "!="),
    (operators::LESS, "<"),
    (operators::LESS_EQUALS, "<="),
    (operators::GREATER, ">"),
    (operators::GREATER_EQUALS, ">="),
    (operators::ADD, "+"),
    (operators::SUBSTRACT, "-"),
    (operators::MULTIPLY, "*"),
    (operators::DIVIDE, "/"),
    (operators::MODULO, "%"),
    (operators::IN, "in"),
];

/// A node as it would be written, cut to a length that fits into a message.
pub fn written(node: &IdedExpr) -> String {
    let mut out = String::new();
    write(node, &mut out);
    if out.chars().count() > SHOWN {
        out = out.chars().take(SHOWN).collect();
        out.push('…');
    }
    out
}

/// Writes until there is more than is shown.
fn write(node: &IdedExpr, out: &mut String) {
    if out.len() > SHOWN * 4 {
        return;
    }
    match &node.expr {
        Expr::Unspecified => out.push('…'),
        Expr::Ident(name) => out.push_str(name),
        Expr::Literal(literal) => write_literal(literal, out),
        Expr::Select(select) => {
            if select.test {
                out.push_str("has(");
            }
            write(&select.operand, out);
            out.push('.');
            out.push_str(&select.field);
            if select.test {
                out.push(')');
            }
        }
        Expr::Call(call) => write_call(call, out),
        Expr::List(list) => {
            out.push('[');
            write_all(&list.elements, out);
            out.push(']');
        }
        Expr::Map(_) => out.push_str("{…}"),
        Expr::Struct(one) => {
            out.push_str(&one.type_name);
            out.push_str("{…}");
        }
        Expr::Comprehension(walk) => {
            write(&walk.iter_range, out);
            out.push('.');
            out.push_str(macro_name(walk));
            out.push('(');
            out.push_str(&walk.iter_var);
            out.push_str(", …)");
        }
    }
}

/// Which macro the parser has replaced by a walk.
pub fn macro_name(walk: &cel::common::ast::ComprehensionExpr) -> &'static str {
    let step = match &walk.loop_step.expr {
        Expr::Call(call) => call.func_name.as_str(),
        _ => "",
    };
    match (&walk.accu_init.expr, step) {
        (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_AND) => "all",
        (Expr::Literal(LiteralValue::Boolean(_)), _) => "exists",
        (Expr::Literal(_), _) => "exists_one",
        (_, operators::CONDITIONAL) => "filter",
        _ => "map",
    }
}

fn write_all(nodes: &[IdedExpr], out: &mut String) {
    for (k, node) in nodes.iter().enumerate() {
        if k > 0 {
            out.push_str(", ");
        }
        write(node, out);
    }
}

fn write_literal(literal: &LiteralValue, out: &mut String) {
    match literal {
        LiteralValue::Boolean(b) => out.push_str(if *b.inner() { "true" } else { "false" }),
        LiteralValue::Bytes(_) => out.push_str("b'…'"),
        LiteralValue::Double(f) => out.push_str(&f.inner().to_string()),
        LiteralValue::Int(i) => out.push_str(&i.inner().to_string()),
        LiteralValue::UInt(u) => {
            out.push_str(&u.inner().to_string());
            out.push('u');
        }
        LiteralValue::Null => out.push_str("null"),
        LiteralValue::String(text) => {
            out.push('\'');
            out.extend(
                text.inner()
                    .chars()
                    .take(SHOWN)
                    .flat_map(char::escape_debug),
            );
            out.push('\'');
        }
    }
}

fn write_call(call: &CallExpr, out: &mut String) {
    let name = REPLACED
        .iter()
        .find(|(_, function)| *function == call.func_name)
        .map_or(call.func_name.as_str(), |(operator, _)| operator);
    match (name, call.args.as_slice()) {
        (operators::CONDITIONAL, [condition, yes, no]) => {
            for (node, after) in [(condition, " ? "), (yes, " : "), (no, "")] {
                write(node, out);
                out.push_str(after);
            }
        }
        (operators::LOGICAL_NOT | operators::NEGATE, [operand]) => {
            out.push(if name == operators::NEGATE { '-' } else { '!' });
            write_operand(operand, out);
        }
        (operators::INDEX | operators::OPT_INDEX, [operand, index]) => {
            write_operand(operand, out);
            out.push_str(if name == operators::INDEX { "[" } else { "[?" });
            write(index, out);
            out.push(']');
        }
        (
            operators::OPT_SELECT,
            [
                operand,
                IdedExpr {
                    expr: Expr::Literal(LiteralValue::String(field)),
                    ..
                },
            ],
        ) => {
            write_operand(operand, out);
            out.push_str(".?");
            out.push_str(field.inner());
        }
        (name, [a, b]) if BETWEEN.iter().any(|(operator, _)| *operator == name) => {
            write_operand(a, out);
            let sign = BETWEEN
                .iter()
                .find(|(operator, _)| *operator == name)
                .map_or("", |(_, sign)| sign);
            out.push(' ');
            out.push_str(sign);
            out.push(' ');
            write_operand(b, out);
        }
        (name, args) => {
            if let Some(target) = &call.target {
                write_operand(target, out);
                out.push('.');
            }
            out.push_str(name);
            out.push('(');
            write_all(args, out);
            out.push(')');
        }
    }
}

/// An operand stands in brackets where it is an operation of its own.
fn write_operand(node: &IdedExpr, out: &mut String) {
    let is_operation = match &node.expr {
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            name == operators::CONDITIONAL
                || BETWEEN.iter().any(|(operator, _)| *operator == name)
                || name.starts_with('@')
        }
        _ => false,
    };
    if is_operation {
        out.push('(');
    }
    write(node, out);
    if is_operation {
        out.push(')');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::expression::numbers::{environment, rewritten};

    #[test]
    fn a_part_is_written_as_it_was() {
        for text in [
            "body.status == 'ok'",
            "body.a[0].b['c d'] > 1.5",
            "(body.a * 2) + 1 == size(body.list)",
            "!has(body.x) || body.name.startsWith('a')",
            "body.ok ? body.a : -body.b",
            "body.n in [1, 2u, null]",
            "body.?a.orValue(true)",
        ] {
            let tree = rewritten(
                environment()
                    .compile(text)
                    .expect(text)
                    .expression()
                    .clone(),
            );
            assert_eq!(
                written(&tree)
                    .replace("((body.a * 2) + 1)", "(body.a * 2) + 1")
                    .replace("(!has(body.x))", "!has(body.x)"),
                text
            );
        }
        for (text, shown) in [
            ("body.l.all(x, x > 1)", "body.l.all(x, …)"),
            ("body.l.exists(x, x > 1)", "body.l.exists(x, …)"),
            ("body.l.map(y, y + 1)", "body.l.map(y, …)"),
        ] {
            assert_eq!(
                written(environment().compile(text).expect(text).expression()),
                shown
            );
        }
        assert!(
            written(
                environment()
                    .compile(&format!("'{}' == 'b'", "a".repeat(300)))
                    .expect("valid")
                    .expression()
            )
            .chars()
            .count()
                <= SHOWN + 1
        );
    }
}
