//! What an expression can look at in a body: a large answer is read over, and only that becomes
//! values.
//!
//! [`of`] walks the tree once, when the config is read. What it cannot follow it takes as needed
//! whole, so an expression sees in the reduced body what it would see in all of it; the tests hold
//! both against each other.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};

use super::numbers::{REPLACED, RESULT};

/// What is looked at in a value. Its default is nothing: that the value is there, but not what it
/// is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// All of it.
    pub whole: bool,
    /// Its kind; for a list its length, for an object its names.
    pub extent: bool,
    /// In each element of a list, and in each member of an object.
    pub each: Option<Box<Needs>>,
    /// In the members of an object that have these names.
    pub members: BTreeMap<String, Needs>,
}

impl Needs {
    pub fn whole() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

    fn extent() -> Self {
        Self {
            extent: true,
            ..Self::default()
        }
    }

    fn each(of_each: Needs) -> Self {
        Self {
            extent: true,
            each: Some(Box::new(of_each)),
            ..Self::default()
        }
    }

    fn member(name: &str, of_it: Needs) -> Self {
        Self {
            members: BTreeMap::from([(name.to_owned(), of_it)]),
            ..Self::default()
        }
    }

    /// Whether anything but its being there is looked at.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What is needed of an element of a list.
    pub fn of_element(&self) -> &Needs {
        static NOTHING: Needs = Needs {
            whole: false,
            extent: false,
            each: None,
            members: BTreeMap::new(),
        };
        if self.whole {
            self
        } else {
            self.each.as_deref().unwrap_or(&NOTHING)
        }
    }

    /// What is needed of a member of an object, or none where nobody asks for that member.
    pub fn of_member(&self, name: &str) -> Option<Cow<'_, Needs>> {
        match (self.members.get(name), self.each.as_deref()) {
            _ if self.whole => Some(Cow::Borrowed(self)),
            (Some(one), Some(each)) => {
                let mut both = one.clone();
                both.add(each.clone());
                Some(Cow::Owned(both))
            }
            (Some(of_it), None) | (None, Some(of_it)) => Some(Cow::Borrowed(of_it)),
            (None, None) => self.extent.then(|| Cow::Owned(Needs::default())),
        }
    }

    fn add(&mut self, more: Needs) {
        if self.whole || more.whole {
            *self = Self::whole();
            return;
        }
        self.extent |= more.extent;
        if let Some(each) = more.each {
            self.each.get_or_insert_default().add(*each);
        }
        for (name, of_it) in more.members {
            self.members.entry(name).or_default().add(of_it);
        }
    }
}

/// What `tree` looks at in `body`.
pub fn of(tree: &IdedExpr) -> Needs {
    let mut names = Names(vec![("body".to_owned(), Needs::default())]);
    names.look(tree, Needs::whole());
    names.0.pop().map(|(_, needs)| needs).unwrap_or_default()
}

/// What is looked at by each name in scope, the innermost last.
struct Names(Vec<(String, Needs)>);

impl Names {
    /// `node` is evaluated, and `needs` of its value is looked at.
    fn look(&mut self, node: &IdedExpr, needs: Needs) {
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => {
                if let Some((_, known)) = self.0.iter_mut().rev().find(|(known, _)| known == name) {
                    known.add(needs);
                }
            }
            Expr::Select(select) => {
                let of_it = if select.test { Needs::default() } else { needs };
                self.look(&select.operand, Needs::member(&select.field, of_it));
            }
            Expr::Call(call) => self.look_at_call(call, needs),
            Expr::List(list) => {
                let of_each = if needs.whole {
                    needs
                } else {
                    needs.each.map(|each| *each).unwrap_or_default()
                };
                list.elements
                    .iter()
                    .for_each(|element| self.look(element, of_each.clone()));
            }
            Expr::Map(map) => map
                .entries
                .iter()
                .for_each(|entry| self.look_at_entry(&entry.expr)),
            Expr::Struct(one) => one
                .entries
                .iter()
                .for_each(|entry| self.look_at_entry(&entry.expr)),
            Expr::Comprehension(walk) => self.look_at_walk(walk, needs),
        }
    }

    fn look_at_entry(&mut self, entry: &EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.look(&field.value, Needs::whole()),
            EntryExpr::MapEntry(pair) => [&pair.key, &pair.value]
                .into_iter()
                .for_each(|part| self.look(part, Needs::whole())),
        }
    }

    fn look_at_call(&mut self, call: &CallExpr, needs: Needs) {
        match (
            call.func_name.as_str(),
            call.target.as_deref(),
            call.args.as_slice(),
        ) {
            ("size", None, [of]) | ("size", Some(of), []) => self.look(of, Needs::extent()),
            (
                operators::INDEX,
                None,
                [
                    of,
                    IdedExpr {
                        expr: Expr::Literal(LiteralValue::String(name)),
                        ..
                    },
                ],
            ) => {
                self.look(of, Needs::member(name.inner(), needs));
            }
            (
                operators::OPT_SELECT,
                None,
                [
                    of,
                    IdedExpr {
                        expr: Expr::Literal(LiteralValue::String(name)),
                        ..
                    },
                ],
            ) => {
                self.look(of, Needs::member(name.inner(), Needs::whole()));
            }
            (operators::INDEX, None, [of, at]) => {
                self.look(at, Needs::whole());
                self.look(of, Needs::each(needs));
            }
            (operators::CONDITIONAL, None, [condition, yes, no]) => {
                self.look(condition, Needs::whole());
                self.look(yes, needs.clone());
                self.look(no, needs);
            }
            // What a macro gathers is looked at as its result is.
            (name, None, [gathered, more])
                if is_sum(name)
                    && matches!(&gathered.expr, Expr::Ident(name) if name == RESULT) =>
            {
                self.look(more, needs)
            }
            (_, target, args) => target
                .into_iter()
                .chain(args)
                .for_each(|part| self.look(part, Needs::whole())),
        }
    }

    fn look_at_walk(&mut self, walk: &ComprehensionExpr, needs: Needs) {
        self.look(&walk.accu_init, needs.clone());
        let outside = self.0.len();
        self.0.push((walk.accu_var.clone(), Needs::default()));
        self.0.push((walk.iter_var.clone(), Needs::default()));
        self.0.extend(
            walk.iter_var2
                .iter()
                .map(|name| (name.clone(), Needs::default())),
        );
        self.look(&walk.loop_cond, Needs::whole());
        self.look(&walk.loop_step, needs.clone());
        self.look(&walk.result, needs);
        let mut of_each = Needs::default();
        self.0
            .drain(outside..)
            .skip(1)
            .for_each(|(_, looked_at)| of_each.add(looked_at));
        self.look(&walk.iter_range, Needs::each(of_each));
    }
}

fn is_sum(name: &str) -> bool {
    name == operators::ADD
        || REPLACED
            .iter()
            .any(|(operator, function)| *operator == operators::ADD && *function == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::expression::numbers::{environment, rewritten};

    fn needs(text: &str) -> Needs {
        of(&rewritten(
            environment()
                .compile(text)
                .expect(text)
                .expression()
                .clone(),
        ))
    }

    #[test]
    fn an_expression_needs_what_it_can_look_at_and_no_more() {
        let (whole, extent, nothing) = (Needs::whole, Needs::extent, Needs::default);
        let member = |name: &str, of_it| Needs::member(name, of_it);
        for (text, expected) in [
            ("body.status == 'ok'", member("status", whole())),
            ("size(body.items) > 10", member("items", extent())),
            ("body.items.size() > 10", member("items", extent())),
            ("has(body.db.lag)", member("db", member("lag", nothing()))),
            (
                "body.items.all(i, i.ok)",
                member("items", Needs::each(member("ok", whole()))),
            ),
            ("body.items.exists(i, i.id == body.wanted)", {
                let mut both = member("items", Needs::each(member("id", whole())));
                both.add(member("wanted", whole()));
                both
            }),
            (
                "size(body.items.filter(i, i.state == 'down')) == 0",
                member("items", Needs::each(member("state", whole()))),
            ),
            (
                "body.items.filter(i, i.up) == []",
                member("items", Needs::each(whole())),
            ),
            (
                "size(body.items.map(i, i.id)) > 1",
                member("items", Needs::each(member("id", nothing()))),
            ),
            ("body['a'].b == 1", member("a", member("b", whole()))),
            (
                "body.list[1].b == 1",
                member("list", Needs::each(member("b", whole()))),
            ),
            ("body.list[body.at] == 1", {
                let mut both = member("list", Needs::each(whole()));
                both.add(member("at", whole()));
                both
            }),
            ("(body.a ? body.b : body.c).d == 1", {
                let mut all = member("a", whole());
                all.add(member("b", member("d", whole())));
                all.add(member("c", member("d", whole())));
                all
            }),
            ("body.?a.orValue(0) == 1", member("a", whole())),
            ("body == {}", whole()),
            ("'x' in body.names", member("names", whole())),
            // The inner name hides the outer one.
            (
                "body.list.all(body, body.x > 1)",
                member("list", Needs::each(member("x", whole()))),
            ),
            ("true", nothing()),
        ] {
            assert_eq!(needs(text), expected, "{text}");
        }
    }
}
