//! No call inside a macro goes through the body again: the cost of an expression grows with the
//! body, never with its square.
//!
//! A macro looks at each element once. What it does with the element, and with the literals of the
//! config, is bounded by the element; a call over another value of the body would go through that
//! value once for each element. One macro inside another is refused elsewhere.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, operators};

use super::numbers::RESULT;
use super::parts::parts;

/// How many values a macro gathers for each element at most.
pub const MADE_LIMIT: usize = 8;

/// How many values a macro gathers for each element: the element itself, and those of lists and
/// objects that are written out in it.
pub fn made(tree: &IdedExpr) -> usize {
    if let Expr::Call(call) = &tree.expr
        && call.func_name == operators::ADD
        && let [result, gathered] = call.args.as_slice()
        && matches!(&result.expr, Expr::Ident(name) if name == RESULT)
    {
        return written_out(gathered);
    }
    parts(tree).into_iter().map(made).max().unwrap_or(0)
}

/// The elements of all lists and objects of a node.
fn written_out(node: &IdedExpr) -> usize {
    let own = match &node.expr {
        Expr::Comprehension(_) => return 0,
        Expr::List(list) => list.elements.len(),
        Expr::Map(map) => 2 * map.entries.len(),
        Expr::Struct(one) => 2 * one.entries.len(),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Call(_) | Expr::Select(_) => {
            0
        }
    };
    own + parts(node).into_iter().map(written_out).sum::<usize>()
}

/// What the value of a node can be as large as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SizeBound {
    /// A literal, a number or a truth value.
    Scalar,
    /// The element that the macro is at.
    Element,
    /// Anything of the body.
    Body,
}

/// The first call inside a macro that would go through the body for each element.
pub fn repeated(tree: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Comprehension(walk) = &tree.expr else {
        return parts(tree).into_iter().find_map(repeated);
    };
    let own = std::iter::once(&walk.iter_var)
        .chain(&walk.iter_var2)
        .map(String::as_str)
        .collect::<Vec<_>>();
    let looked = [&walk.loop_cond, &walk.loop_step]
        .into_iter()
        .find_map(|node| looked(node, &own).err());
    looked.or_else(|| {
        [&walk.iter_range, &walk.accu_init, &walk.result]
            .into_iter()
            .find_map(|node| repeated(node))
    })
}

/// The extent of a node inside a macro over elements of these names; the node itself where it goes
/// through the body.
fn looked<'t>(node: &'t IdedExpr, own: &[&str]) -> Result<SizeBound, &'t IdedExpr> {
    let widest = |nodes: Vec<&'t IdedExpr>| {
        nodes.into_iter().try_fold(SizeBound::Scalar, |widest, n| {
            Ok(looked(n, own)?.max(widest))
        })
    };
    Ok(match &node.expr {
        Expr::Unspecified | Expr::Literal(_) => SizeBound::Scalar,
        Expr::Ident(name) if name == RESULT => SizeBound::Scalar,
        Expr::Ident(name) if own.contains(&name.as_str()) => SizeBound::Element,
        // `body`, and the names of types.
        Expr::Ident(_) => SizeBound::Body,
        Expr::Select(select) if select.test => {
            looked(&select.operand, own)?;
            SizeBound::Scalar
        }
        Expr::Select(select) => looked(&select.operand, own)?,
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => copied(node, widest(parts(node))?)?,
        Expr::Comprehension(_) => SizeBound::Body,
        Expr::Call(call) => called(node, call, own)?,
    })
}

/// A list or an object holds copies.
fn copied(node: &IdedExpr, extent: SizeBound) -> Result<SizeBound, &IdedExpr> {
    if extent == SizeBound::Body {
        Err(node)
    } else {
        Ok(extent)
    }
}

fn called<'t>(
    node: &'t IdedExpr,
    call: &'t CallExpr,
    own: &[&str],
) -> Result<SizeBound, &'t IdedExpr> {
    let operands = parts(node)
        .into_iter()
        .map(|n| looked(n, own))
        .collect::<Result<Vec<_>, _>>()?;
    let (least, most) = (
        operands.iter().min().copied().unwrap_or(SizeBound::Scalar),
        operands.iter().max().copied().unwrap_or(SizeBound::Scalar),
    );
    let bounded = |is: bool, extent: SizeBound| if is { Ok(extent) } else { Err(node) };
    match call.func_name.as_str() {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::NOT_STRICTLY_FALSE => Ok(SizeBound::Scalar),
        operators::CONDITIONAL => Ok(operands
            .iter()
            .skip(1)
            .max()
            .copied()
            .unwrap_or(SizeBound::Scalar)),
        // No longer than the shorter of the two.
        operators::EQUALS
        | operators::NOT_EQUALS
        | operators::LESS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS => bounded(least < SizeBound::Body, SizeBound::Scalar),
        operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => {
            Ok(operands.first().copied().unwrap_or(SizeBound::Scalar))
        }
        // Of numbers; of anything else an error at once.
        operators::SUBSTRACT
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO
        | operators::NEGATE => Ok(SizeBound::Scalar),
        _ => bounded(most < SizeBound::Body, most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::expression::numbers::environment;
    use crate::config::document::expression::words::written;

    fn found(text: &str) -> Option<String> {
        repeated(environment().compile(text).expect(text).expression()).map(written)
    }

    #[test]
    fn what_looks_at_its_element_is_bounded() {
        for text in [
            "body.all(x, x == 1)",
            "body.items.all(i, i.ok && i.name.contains('a') && size(i.list) > 2 && i.kind in \
                ['a', 'b'])",
            "body.items.all(i, i.name == body.name || i.n > body.least)",
            "body.items.filter(i, i.ok).map(i, i.name + '!').exists(n, n.startsWith('a'))",
            "body.items.all(i, i.total == i.a + i.b - body.offset * 2)",
            "body.items.all(i, body.names[i.id] == i.name && has(body.names))",
            "body.items.map(i, [i.a, i.b]) == [[1, 2]] && 'a' in body.names && size(body.names) \
                == 3",
            "body.items.exists_one(i, i.name.matches('^a$'))",
            "body.m.all(k, v, k == v)",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_macro_makes_is_counted() {
        let count = |text: &str| made(environment().compile(text).expect(text).expression());
        assert_eq!(count("body.status in ['a', 'b', 'c']"), 0);
        assert_eq!(count("body.all(i, i in ['a', 'b'])"), 0);
        assert_eq!(count("body.filter(i, i.ok) == []"), 1);
        assert_eq!(count("body.map(i, [i.a, i.b]) == []"), 3);
        assert_eq!(count("body.map(i, {'a': i, 'b': [i]}) == []"), 6);
        assert!(count(&format!("body.map(i, [{}]) == []", "i,".repeat(20))) > MADE_LIMIT);
    }

    #[test]
    fn what_goes_through_the_body_for_each_element_is_found() {
        for (text, part) in [
            ("body.all(x, x in body)", "x in body"),
            ("body.items.all(i, i.id in body.ids)", "i.id in body.ids"),
            ("body.items.all(i, body.a == body.b)", "body.a == body.b"),
            ("body.ids.map(i, body.p + i) == []", "body.p + i"),
            (
                "body.ids.all(i, body.text.contains(i))",
                "body.text.contains(i)",
            ),
            ("body.ids.all(i, size(body.text) > i)", "size(body.text)"),
            ("body.ids.map(i, [body, i]) == []", "[body, i]"),
            ("body.ids.all(i, string(body.n) == i)", "string(body.n)"),
            (
                "body.ok && body.ids.filter(i, i in body.ids).all(i, i > 1)",
                "i in body.ids",
            ),
            (
                "body.ids.all(i, (i.ok ? body.a : body.b).contains('a'))",
                "(i.ok ? body.a : body.b).contains('a')",
            ),
        ] {
            assert_eq!(found(text).as_deref(), Some(part), "{text}");
        }
    }
}
