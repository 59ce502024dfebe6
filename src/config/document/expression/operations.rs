//! What the operators of CEL take, and what they give.

use cel::IdedExpr;
use cel::common::ast::operators;

use super::kinds::{CelKind, Refusal};
use super::words::written;

/// What an operator gives; `None`: CEL has no such operator.
pub(super) fn operated(
    node: &IdedExpr,
    operator: &str,
    kinds: &[CelKind],
) -> Option<Result<CelKind, Refusal>> {
    let operands = Operands { node, kinds };
    Some(match operator {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::NOT_STRICTLY_FALSE => operands.joined_by_logic(),
        operators::CONDITIONAL => operands.chosen(),
        operators::EQUALS | operators::NOT_EQUALS => operands.held_equal(),
        operators::LESS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS => operands.ordered(),
        operators::ADD => operands.added(),
        operators::SUBSTRACT
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO
        | operators::NEGATE => operands.calculated(),
        operators::INDEX => operands.element_of(CelKind::Any),
        operators::OPT_INDEX => operands.element_of(CelKind::Optional),
        operators::OPT_SELECT => Ok(CelKind::Optional),
        operators::IN => operands.searched(),
        _ => return None,
    })
}

/// The operands of one operation.
struct Operands<'e> {
    /// The whole operation.
    node: &'e IdedExpr,
    kinds: &'e [CelKind],
}

impl Operands<'_> {
    fn left(&self) -> CelKind {
        self.kinds.first().copied().unwrap_or(CelKind::Any)
    }

    fn right(&self) -> CelKind {
        self.kinds.get(1).copied().unwrap_or(CelKind::Any)
    }

    /// The first operand that can be none of these.
    fn other_than(&self, takes: &[CelKind]) -> Option<CelKind> {
        let mut known = self.kinds.iter().filter(|k| **k != CelKind::Any);
        known.find(|k| !takes.contains(k)).copied()
    }

    fn refused(&self, why: &str, advice: &str) -> Result<CelKind, Refusal> {
        let place = written(self.node);
        Err((format!("{why} in `{place}`"), advice.to_owned()))
    }

    fn no_truth(&self, kind: CelKind) -> Result<CelKind, Refusal> {
        self.refused(
            &format!("takes {} for true or false", kind.noun()),
            "Compare it: size(body.items) > 0.",
        )
    }

    fn joined_by_logic(&self) -> Result<CelKind, Refusal> {
        match self.other_than(&[CelKind::Bool]) {
            Some(kind) => self.no_truth(kind),
            None => Ok(CelKind::Bool),
        }
    }

    /// `condition ? one : other`.
    fn chosen(&self) -> Result<CelKind, Refusal> {
        if !self.left().may_be(CelKind::Bool) {
            return self.no_truth(self.left());
        }
        Ok(if self.kinds.get(1) == self.kinds.get(2) {
            self.right()
        } else {
            CelKind::Any
        })
    }

    fn compared(&self) -> String {
        let (left, right) = (self.left().noun(), self.right().noun());
        format!("compares {left} with {right}")
    }

    fn held_equal(&self) -> Result<CelKind, Refusal> {
        let (left, right) = (self.left(), self.right());
        if left.may_be(right) || left == CelKind::Null || right == CelKind::Null {
            return Ok(CelKind::Bool);
        }
        self.refused(
            &self.compared(),
            "They are never equal: compare values of one kind.",
        )
    }

    fn ordered(&self) -> Result<CelKind, Refusal> {
        let ordered = [
            CelKind::Bool,
            CelKind::Number,
            CelKind::Text,
            CelKind::Bytes,
        ];
        if self.left().may_be(self.right()) && self.other_than(&ordered).is_none() {
            return Ok(CelKind::Bool);
        }
        self.refused(
            &self.compared(),
            "Compare numbers with numbers and strings with strings.",
        )
    }

    fn added(&self) -> Result<CelKind, Refusal> {
        let (left, right) = (self.left(), self.right());
        let summands = [
            CelKind::Number,
            CelKind::Text,
            CelKind::Bytes,
            CelKind::List,
        ];
        if self.other_than(&summands).is_none() && left.may_be(right) {
            return Ok(if left == CelKind::Any { right } else { left });
        }
        self.refused(
            &format!("adds {} and {}", left.noun(), right.noun()),
            "Add numbers to numbers; string(x) makes a string of a number.",
        )
    }

    fn calculated(&self) -> Result<CelKind, Refusal> {
        match self.other_than(&[CelKind::Number]) {
            Some(kind) => self.refused(
                &format!("calculates with {}", kind.noun()),
                "double(x) makes a number of a string.",
            ),
            None => Ok(CelKind::Number),
        }
    }

    /// `list[0]`; `gives`: what is known of the element.
    fn element_of(&self, gives: CelKind) -> Result<CelKind, Refusal> {
        match self.left() {
            CelKind::Any | CelKind::List | CelKind::Object | CelKind::Optional => Ok(gives),
            left => self.refused(
                &format!("asks {} for an element", left.noun()),
                "Only lists and objects have elements.",
            ),
        }
    }

    fn searched(&self) -> Result<CelKind, Refusal> {
        match self.right() {
            CelKind::Any | CelKind::List | CelKind::Object => Ok(CelKind::Bool),
            right => self.refused(
                &format!("looks for an element in {}", right.noun()),
                "Write 'text'.contains('part') for strings.",
            ),
        }
    }
}
