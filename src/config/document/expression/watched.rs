//! Expressions whose evaluation ends when its time is spent.
//!
//! CEL's interpreter has no such end, and what a macro does, it does for each element of a list
//! that the endpoint has made. [`watched`] has every step of a macro ask [`goes_on`] first.

use std::cell::Cell;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, operators};
use cel::common::value::CowVal;
use cel::{ExecutionError, IdedExpr};

use super::parts::parts_mut;

/// Gives its operand back while there is time.
pub const WATCHED: &str = "@watched";

thread_local! {
    static GOES_ON: Cell<fn() -> bool> = const { Cell::new(|| true) };
    static GOES_ON_NOW: Cell<fn() -> bool> = const { Cell::new(|| true) };
}

/// What says whether evaluations of this thread go on; `now` looks at the clock each time.
pub fn watch(goes_on: fn() -> bool, now: fn() -> bool) {
    GOES_ON.set(goes_on);
    GOES_ON_NOW.set(now);
}

/// Whether there is time left, for a step that may be long.
pub fn goes_on_now() -> bool {
    GOES_ON_NOW.get()()
}

/// Whether there is time left.
pub fn goes_on() -> bool {
    GOES_ON.get()()
}

/// The function that [`WATCHED`] stands for.
pub fn pass<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    match args.pop() {
        Some(operand) if goes_on() => Ok(operand),
        _ => Err(no_time_left(WATCHED)),
    }
}

/// The error of a function that has no time to end.
pub fn no_time_left(function: &str) -> ExecutionError {
    ExecutionError::function_error(function, "no time is left")
}

/// The same tree, each of whose macros asks before each step.
pub fn watched(mut node: IdedExpr) -> IdedExpr {
    add(&mut node);
    node
}

fn add(node: &mut IdedExpr) {
    parts_mut(node).into_iter().for_each(add);
    if let Expr::Comprehension(walk) = &mut node.expr
        && let Some(asked) = asked_first(walk)
    {
        ask(asked);
    }
}

/// What a walk evaluates for each element. The interpreter knows a walk that appends to a list by
/// its form, which stays.
fn asked_first(walk: &mut ComprehensionExpr) -> Option<&mut IdedExpr> {
    if !matches!(walk.loop_cond.expr, Expr::Literal(_)) {
        return Some(&mut walk.loop_cond);
    }
    let Expr::Call(call) = &mut walk.loop_step.expr else {
        return None;
    };
    match (call.func_name.as_str(), call.args.as_mut_slice()) {
        (operators::CONDITIONAL, [guard, _, _]) => Some(guard),
        (
            operators::ADD,
            [
                _,
                IdedExpr {
                    expr: Expr::List(list),
                    ..
                },
            ],
        ) => list.elements.first_mut(),
        _ => None,
    }
}

fn ask(node: &mut IdedExpr) {
    let (id, expr) = (node.id, std::mem::take(&mut node.expr));
    node.expr = Expr::Call(CallExpr {
        func_name: WATCHED.to_owned(),
        target: None,
        args: vec![IdedExpr { id, expr }],
    });
}
