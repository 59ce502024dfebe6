//! The parts of a node of an expression's tree. Who walks a tree asks here, so that each form of a
//! node is taken apart in one place.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

/// The nodes right below a node.
pub fn parts(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Map(map) => map.entries.iter().flat_map(|e| of_entry(&e.expr)).collect(),
        Expr::Struct(one) => one.entries.iter().flat_map(|e| of_entry(&e.expr)).collect(),
        Expr::Comprehension(walk) => vec![
            &walk.iter_range,
            &walk.accu_init,
            &walk.loop_cond,
            &walk.loop_step,
            &walk.result,
        ],
    }
}

fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(pair) => vec![&pair.key, &pair.value],
    }
}

/// The nodes right below a node, to be changed.
pub fn parts_mut(node: &mut IdedExpr) -> Vec<&mut IdedExpr> {
    match &mut node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => {
            let target = call.target.as_deref_mut().into_iter();
            target.chain(&mut call.args).collect()
        }
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Select(select) => vec![&mut select.operand],
        Expr::Map(map) => {
            let entries = map.entries.iter_mut();
            entries.flat_map(|e| of_entry_mut(&mut e.expr)).collect()
        }
        Expr::Struct(one) => {
            let entries = one.entries.iter_mut();
            entries.flat_map(|e| of_entry_mut(&mut e.expr)).collect()
        }
        Expr::Comprehension(walk) => vec![
            &mut walk.iter_range,
            &mut walk.accu_init,
            &mut walk.loop_cond,
            &mut walk.loop_step,
            &mut walk.result,
        ],
    }
}

fn of_entry_mut(entry: &mut EntryExpr) -> Vec<&mut IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&mut field.value],
        EntryExpr::MapEntry(pair) => vec![&mut pair.key, &mut pair.value],
    }
}
