//! A CEL expression held against a JSON body, and why it was not met: the values that it saw.
//!
//! Called by [`super::expect`]. An expression that holds costs one evaluation over what it looks
//! at; for one that does not, all of the body is read, and the expression is taken apart.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use cel::common::ast::{ComprehensionExpr, Expr, operators};
use cel::{Context, ExecutionError, IdedExpr, Value};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Number;

use super::search::Spent;
use super::work::Work;
use crate::config::document::expression::needs::Needs;
use crate::config::document::expression::numbers::{REPLACED, RESULT, begin, environment, number};
use crate::config::document::expression::watched::{goes_on, watch};
use crate::config::document::expression::words::{macro_name, written};
use crate::config::plan::probe::Cel;
use crate::net::clock::thread_cpu_ns;

/// Values that are shown of one expression.
const VALUES: usize = 5;
/// Characters that are shown of one value.
const VALUE_LENGTH: usize = 80;
/// What an evaluation may take at most where its parts are evaluated again to find the one that
/// decided.
const EXPLAINED_NS: u64 = 50_000_000;
/// How far down the part that fails is looked for: each level evaluates what is below it once more.
const LEVELS: usize = 12;

thread_local! {
    /// When, by the clock of this thread's processor time, an evaluation is over, and how many
    /// steps it made since that was looked at.
    static UNTIL_NS: Cell<u64> = const { Cell::new(u64::MAX) };
    static STEPS: Cell<u8> = const { Cell::new(0) };
}
const STEPS_AT_ONCE: u8 = 16;

fn is_in_time() -> bool {
    STEPS.set((STEPS.get() + 1) % STEPS_AT_ONCE);
    if STEPS.get() == 0 && thread_cpu_ns() > UNTIL_NS.get() {
        UNTIL_NS.set(0);
    }
    UNTIL_NS.get() > 0
}

fn is_in_time_now() -> bool {
    STEPS.set(STEPS_AT_ONCE - 1);
    is_in_time()
}

/// What was found, and whether the expression holds.
pub fn judged(cel: &Cel, body: &[u8], work: &Work) -> Result<(String, bool), Spent> {
    UNTIL_NS.set(thread_cpu_ns().saturating_add(work.left_ns()));
    watch(is_in_time, is_in_time_now);
    let judged = judged_in_time(cel, body);
    let is_spent = UNTIL_NS.replace(u64::MAX) == 0;
    match judged {
        (_, false) if is_spent => Err(Spent),
        judged => Ok(judged),
    }
}

fn judged_in_time(cel: &Cel, body: &[u8]) -> (String, bool) {
    // Most hold: then only what the expression looks at was made into values.
    let first = read(body, &cel.needs).map(|body| resolved(&cel.watched, &named(body)));
    if let Ok(Ok(Value::Bool(true))) = first {
        return ("true".to_owned(), true);
    }
    if UNTIL_NS.get() == 0 {
        return (String::new(), false);
    }
    // Why it does not hold is found by evaluating its parts again. A verdict that took long is not
    // kept waiting for that.
    let elements = body.iter().filter(|b| **b == b',').count() + 1;
    if cel.cost.evaluation_ns(elements, body.len()) > EXPLAINED_NS {
        return first.map_or_else(|error| (format!("no JSON: {error}"), false), briefly);
    }
    match read(body, &Needs::whole()) {
        Ok(body) => explained(cel, &named(body)),
        Err(error) => (format!("no JSON: {error}"), false),
    }
}

/// What was found, without the values that decided it.
fn briefly(result: Result<Value, ExecutionError>) -> (String, bool) {
    match result {
        Ok(Value::Bool(true)) => ("true".to_owned(), true),
        Ok(Value::Bool(false)) => (
            "false (the body is too large to show the values that decided it)".to_owned(),
            false,
        ),
        Ok(other) => (
            format!(
                "{} ({}), which is neither true nor false",
                as_json(&other),
                noun(&other)
            ),
            false,
        ),
        Err(error) => (format!("an error: {error}"), false),
    }
}

/// One evaluation.
fn resolved(tree: &IdedExpr, context: &Context) -> Result<Value, ExecutionError> {
    begin();
    Value::resolve(tree, context)
}

fn explained(cel: &Cel, context: &Context) -> (String, bool) {
    match resolved(&cel.tree, context) {
        Ok(Value::Bool(true)) => ("true".to_owned(), true),
        Ok(Value::Bool(false)) => (falsehood(&cel.tree, context), false),
        Ok(other) => (
            format!(
                "{} ({}), which is neither true nor false",
                as_json(&other),
                noun(&other)
            ),
            false,
        ),
        Err(error) => (fault(&cel.tree, context, error, LEVELS), false),
    }
}

fn named(body: Value) -> Context<'static, 'static> {
    let mut context = Context::with_env(environment());
    context.add_variable_from_value("body", body);
    context
}

/// JSON read as values of expressions at once: a tree in between would double what a large body
/// takes.
fn read(json: &[u8], needs: &Needs) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = NeededValue(needs).deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// Reads what is needed of a value, and over the rest.
#[derive(Clone, Copy)]
struct NeededValue<'n>(&'n Needs);

impl<'de> DeserializeSeed<'de> for NeededValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        if self.0.is_nothing() {
            from.deserialize_ignored_any(IgnoredAny)
                .map(|_| Value::Null)
        } else {
            from.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for NeededValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(number(&n.into()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
        Ok(number(&n.into()))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Value, E> {
        // JSON has no number that is none.
        Ok(Number::from_f64(n).map_or(Value::Null, |n| number(&n)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(NeededValue(self.0.of_element()))? {
            if !goes_on() {
                return Err(A::Error::custom("no time is left"));
            }
            values.push(value);
        }
        Ok(Value::List(Arc::new(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = HashMap::new();
        while let Some(member) = map.next_key_seed(MemberName(self.0))? {
            if !goes_on() {
                return Err(A::Error::custom("no time is left"));
            }
            match member {
                Some((name, needs)) => {
                    values.insert(name, map.next_value_seed(NeededValue(&needs))?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::from(values))
    }
}

/// The name of a member that is needed, and what of it is.
struct MemberName<'n>(&'n Needs);

impl<'de, 'n> DeserializeSeed<'de> for MemberName<'n> {
    type Value = Option<(String, Cow<'n, Needs>)>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for MemberName<'n> {
    type Value = Option<(String, Cow<'n, Needs>)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.of_member(name).map(|needs| (name.to_owned(), needs)))
    }
}

/// `false; body.status = "degraded"`.
fn falsehood(tree: &IdedExpr, context: &Context) -> String {
    let mut parts = DecisiveParts::default();
    parts.reasons(tree, context);
    if parts.0.is_empty() {
        "false".into()
    } else {
        format!("false; {}", parts.shown())
    }
}

/// The parts of an expression that mattered, as written, with their values.
#[derive(Default)]
struct DecisiveParts(Vec<(String, String)>);

impl DecisiveParts {
    fn shown(&self) -> String {
        let mut out = self
            .0
            .iter()
            .take(VALUES)
            .map(|(part, value)| format!("{part} = {value}"))
            .collect::<Vec<_>>()
            .join(", ");
        if self.0.len() > VALUES {
            out.push_str(", …");
        }
        out
    }

    fn add(&mut self, part: String, value: &Value) {
        if self.0.len() <= VALUES && !self.0.iter().any(|(p, _)| *p == part) {
            self.0.push((part, as_json(value)));
        }
    }

    /// What of a condition decided it: of a conjunction only what does not hold.
    fn reasons(&mut self, node: &IdedExpr, context: &Context) {
        let Expr::Call(call) = &node.expr else {
            return self.values(node, context);
        };
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, args) => {
                for part in args {
                    if resolved(part, context) != Ok(Value::Bool(true)) {
                        self.reasons(part, context);
                    }
                }
            }
            (operators::LOGICAL_OR | operators::LOGICAL_NOT, args) => {
                args.iter().for_each(|part| self.reasons(part, context))
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.reasons(condition, context);
                let is_met = resolved(condition, context) == Ok(Value::Bool(true));
                self.reasons(if is_met { yes } else { no }, context);
            }
            _ => self.values(node, context),
        }
    }

    /// The values that a part is made of.
    fn values(&mut self, node: &IdedExpr, context: &Context) {
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_) => {}
            Expr::List(list) => list.elements.iter().for_each(|e| self.values(e, context)),
            Expr::Select(select) if select.test => self.values(&select.operand, context),
            Expr::Call(call) if is_made_of_its_operands(&call.func_name) => {
                call.target
                    .as_deref()
                    .into_iter()
                    .chain(&call.args)
                    .for_each(|part| self.values(part, context));
            }
            Expr::Comprehension(walk) => {
                self.values(&walk.iter_range, context);
                if macro_name(walk) == "all"
                    && let Some((item, _)) =
                        stopped(walk, context, |step| step == &Ok(Value::Bool(false)))
                {
                    self.add(format!("the first {} that fails", walk.iter_var), &item);
                }
            }
            Expr::Ident(_) | Expr::Select(_) | Expr::Call(_) => {
                if let Ok(value) = resolved(node, context) {
                    self.add(written(node), &value);
                }
            }
        }
    }
}

/// Whether the result of a function says less than what it was given.
fn is_made_of_its_operands(name: &str) -> bool {
    const COMPARED: [&str; 17] = [
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::CONDITIONAL,
        operators::EQUALS,
        operators::NOT_EQUALS,
        operators::LESS,
        operators::LESS_EQUALS,
        operators::GREATER,
        operators::GREATER_EQUALS,
        operators::IN,
        operators::NEGATE,
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "type",
    ];
    COMPARED.contains(&name)
        || REPLACED
            .iter()
            .any(|(operator, function)| *operator == name || *function == name)
}

/// The first item of a walk whose step is as asked for, and the names that hold there.
fn stopped<'p, 'v>(
    walk: &ComprehensionExpr,
    context: &'p Context<'_, 'v>,
    is_it: impl Fn(&Result<Value, ExecutionError>) -> bool,
) -> Option<(Value, Context<'p, 'v>)>
where
    'v: 'p,
{
    let items = match resolved(&walk.iter_range, context).ok()? {
        Value::List(list) => list.iter().cloned().collect::<Vec<_>>(),
        Value::Map(map) => map.map.keys().map(Value::from).collect(),
        _ => return None,
    };
    let gathered = resolved(&walk.accu_init, context).ok()?;
    let mut inner = context.new_inner_scope();
    inner.add_variable_from_value(RESULT, gathered);
    for item in items {
        inner.add_variable_from_value(walk.iter_var.as_str(), item.clone());
        if is_it(&resolved(&walk.loop_step, &inner)) {
            return Some((item, inner));
        }
    }
    None
}

/// `an error in body.queue * 2: the kinds do not fit; body.queue = "17" (string), 2 (number)`.
fn fault(node: &IdedExpr, context: &Context, error: ExecutionError, levels: usize) -> String {
    if let Expr::Comprehension(walk) = &node.expr
        && levels > 0
        && let Some((_, inner)) = stopped(walk, context, Result::is_err)
        && let Err(error) = resolved(&walk.loop_step, &inner)
    {
        return fault(&walk.loop_step, &inner, error, levels.saturating_sub(1));
    }
    let operands = operands(node);
    let mut values = Vec::new();
    for operand in &operands {
        match resolved(operand, context) {
            Err(error) if levels > 0 => return fault(operand, context, error, levels - 1),
            Err(_) => {}
            Ok(value) if matches!(operand.expr, Expr::Literal(_)) => {
                values.push(format!("{} ({})", as_json(&value), noun(&value)))
            }
            Ok(value) => values.push(format!(
                "{} = {} ({})",
                written(operand),
                as_json(&value),
                noun(&value)
            )),
        }
    }
    format!(
        "an error in `{}`: {}; {}",
        written(node),
        reason(&error),
        values.join(", ")
    )
}

/// What a node is evaluated from.
fn operands(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) | Expr::Map(_) => {
            Vec::new()
        }
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .filter(|a| !matches!(&a.expr, Expr::Ident(name) if name == RESULT))
            .collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Comprehension(walk) => vec![&walk.iter_range],
    }
}

fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!(
            "there is no member `{}`",
            cut(&key.escape_debug().to_string())
        ),
        ExecutionError::IndexOutOfBounds(at) => format!("there is no element {}", as_json(at)),
        ExecutionError::FunctionError { message, .. } => cut(message),
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedIndex(..)
        | ExecutionError::UnsupportedKeyType(_) => "it does not take values of these types".into(),
        other => cut(&other.to_string()),
    }
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "list",
        Value::Map(_) => "object",
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "number",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "bool",
        Value::Null => "null",
        _ => "other",
    }
}

/// A value as JSON has it, cut to a length that fits into a message.
fn as_json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    cut(&out)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= VALUE_LENGTH {
        return text.to_owned();
    }
    text.chars().take(VALUE_LENGTH).chain(['…']).collect()
}

/// Writes until there is more than is shown.
fn write_json(value: &Value, out: &mut String) {
    if out.len() > VALUE_LENGTH * 4 {
        return;
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(&b.to_string()),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::UInt(u) => out.push_str(&u.to_string()),
        Value::Float(f) => out.push_str(&f.to_string()),
        Value::String(text) => {
            out.push('"');
            out.extend(text.chars().take(VALUE_LENGTH).flat_map(char::escape_debug));
            out.push('"');
        }
        Value::List(list) => {
            out.push('[');
            for (k, one) in list.iter().take(VALUE_LENGTH).enumerate() {
                out.push_str(if k > 0 { ", " } else { "" });
                write_json(one, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            let mut keys: Vec<_> = map.map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (k, key) in keys.into_iter().take(VALUE_LENGTH).enumerate() {
                out.push_str(if k > 0 { ", " } else { "" });
                write_json(&Value::from(key), out);
                out.push_str(": ");
                write_json(map.map.get(key).unwrap_or(&Value::Null), out);
            }
            out.push('}');
        }
        _ => out.push('…'),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::document::expression::numbers::rewritten;
    use crate::kind::run::json::*;
    use proptest::prelude::*;

    fn found(text: &str, body: &str) -> (String, bool) {
        let tree = rewritten(
            environment()
                .compile(text)
                .expect(text)
                .expression()
                .clone(),
        );
        let work = Work::of(std::time::Duration::from_secs(60), Arc::default());
        judged(&Cel::new(text.to_owned(), tree), body.as_bytes(), &work).expect("time")
    }

    #[test]
    fn what_an_endpoint_makes_long_ends_when_its_time_is_spent() {
        let list = format!("[{}1]", "1,".repeat(1 << 20));
        for text in [
            "body.all(i, i < 2 && i > 0 && i != 3 && i != 4 && i != 5)",
            "body.filter(i, i < 2 && i > 0 && i != 3 && i != 4).size() > 0",
            "body.map(i, i * 2 + i * 3 + i * 4 + i * 5).size() > 0",
            "body.size() > 5 && body.exists(i, i == 2)",
        ] {
            let tree = environment()
                .compile(text)
                .expect(text)
                .expression()
                .clone();
            let cel = Cel::new(text.to_owned(), rewritten(tree));
            let work = Work::of(std::time::Duration::from_millis(20), Arc::default());
            let began_ns = thread_cpu_ns();
            assert_eq!(judged(&cel, list.as_bytes(), &work), Err(Spent), "{text}");
            let took_ms = (thread_cpu_ns() - began_ns) / 1_000_000;
            assert!(took_ms < 200, "{text}: {took_ms} ms");
            let small = judged(
                &cel,
                b"[1, 1]",
                &Work::of(std::time::Duration::from_secs(9), Arc::default()),
            );
            assert!(small.is_ok(), "{text}");
        }
    }

    #[test]
    fn a_false_expression_shows_the_values_it_saw() {
        let body = concat!(
            r#"{"status":"degraded","queue":17,"db":{"ok":true,"lag":0.5},"#,
            r#""items":[{"id":1,"live":true},{"id":2,"live":false}],"name":"shop"}"#
        );
        for (text, shown) in [
            ("body.status == 'ok'", "false; body.status = \"degraded\""),
            (
                "body.db.ok && body.status == 'ok'",
                "false; body.status = \"degraded\"",
            ),
            (
                "body.db.ok && body.queue * 2 + 1 < 10",
                "false; body.queue = 17",
            ),
            (
                "body.status == 'ok' || body.queue < 10",
                "false; body.status = \"degraded\", body.queue = 17",
            ),
            ("!body.db.ok", "false; body.db.ok = true"),
            ("body.name.startsWith('x')", "false; body.name = \"shop\""),
            ("size(body.items) > 2", "false; size(body.items) = 2"),
            (
                "body.items.all(i, i.live)",
                "false; body.items = [{\"id\": 1, \"live\": true}, {\"id\": 2, \"live\": false}], \
                    the first i that fails = {\"id\": 2, \"live\": false}",
            ),
            (
                "has(body.db.rows)",
                "false; body.db = {\"lag\": 0.5, \"ok\": true}",
            ),
            (
                "body.db.ok ? body.queue < 5 : false",
                "false; body.db.ok = true, body.queue = 17",
            ),
            (
                "body.status in ['ok', 'fine']",
                "false; body.status = \"degraded\"",
            ),
            ("body.items[1].id == 3", "false; body.items[1].id = 2"),
            ("false", "false"),
        ] {
            assert_eq!(found(text, body), (shown.to_owned(), false), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_part_its_values_and_their_types() {
        let body = concat!(
            r#"{"queue":"17","name":5,"list":[1,2],"items":[{"n":1},{"n":"x"}],"#,
            r#""zero":0,"text":"abc"}"#
        );
        for (text, parts) in [
            (
                "body.queue * 2 < 40",
                &[
                    "`body.queue * 2`",
                    "body.queue = \"17\" (string)",
                    "2 (number)",
                ][..],
            ),
            (
                "body.queue < 40",
                &[
                    "`body.queue < 40`",
                    "body.queue = \"17\" (string)",
                    "40 (number)",
                    "these types",
                ],
            ),
            (
                "body.name.startsWith('a')",
                &["body.name = 5 (number)", "\"a\" (string)"],
            ),
            ("body.nome == 'a'", &["no member `nome`", "body = {"]),
            (
                "body.name.first == 'a'",
                &["`body.name.first`", "body.name = 5 (number)"],
            ),
            (
                "body.list[2] == 3",
                &["no element 2", "body.list = [1, 2] (list)"],
            ),
            (
                "body.items.all(i, i.n < 3)",
                &["`i.n < 3`", "i.n = \"x\" (string)"],
            ),
            (
                "body.items.map(i, i.n * 2) == [2]",
                &["`i.n * 2`", "i.n = \"x\" (string)"],
            ),
            (
                "5 / body.zero > 1",
                &["division by zero", "body.zero = 0 (number)"],
            ),
            (
                "int(body.text) > 1",
                &["`int(body.text)`", "body.text = \"abc\" (string)", "parse"],
            ),
            (
                "body.list.all(x, x > 0) && body.text && true",
                &["body.text = \"abc\" (string)"],
            ),
            ("body.name.exists(x, x > 0)", &["body.name = 5 (number)"]),
            ("!body.text", &["body.text = \"abc\" (string)"]),
            (
                "body.text",
                &["\"abc\" (string), which is neither true nor false"],
            ),
        ] {
            let (shown, met) = found(text, body);
            assert!(
                !met && parts.iter().all(|p| shown.contains(p)),
                "{text}: {shown}"
            );
        }
        assert!(found("body.a == 1", "<html>").0.starts_with("no JSON"));
    }

    #[test]
    fn a_verdict_over_a_large_list_is_not_kept_waiting_for_its_reasons() {
        let list = |n: usize| format!("[{}0]", "1,".repeat(n));
        let (found, holds) = self::found("body.all(x, x == 1 && x < 5)", &list(100));
        assert!(!holds && found.contains("0"), "{found}");
        let (found, holds) = self::found("body.all(x, x == 1 && x < 5)", &list(300_000));
        assert_eq!(
            (found.as_str(), holds),
            (
                "false (the body is too large to show the values that decided it)",
                false
            )
        );
        let (found, holds) = self::found("body.filter(x, x > 0).all(x, x.a == 1)", &list(300_000));
        assert!(!holds && found.starts_with("an error: "), "{found}");
        // A member of a large body is shown as ever.
        let large = format!("{{\"status\": \"down\", \"list\": {}}}", list(300_000));
        let (found, holds) = self::found("body.status == 'ok'", &large);
        assert!(!holds && found.contains("down"), "{found}");
    }

    #[test]
    fn what_is_shown_of_large_values_is_cut() {
        let body = format!(
            "{{\"list\":[{}],\"text\":\"{}\"}}",
            vec!["{\"a\":[1,2,3]}"; 5000].join(","),
            "x".repeat(10_000)
        );
        for text in [
            "body.list.all(x, size(x.a) > 3) && body.text == 'a'",
            "body.text == 'a' || body.list == []",
            "body.text * 2 == 4",
        ] {
            let (shown, met) = found(text, &body);
            assert!(
                !met && shown.chars().count() < 600,
                "{text}: {} characters",
                shown.chars().count()
            );
        }
    }

    fn bodies() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value as Json;
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            (0..4_i64).prop_map(Json::from),
            Just(Json::from(1.5)),
            "[abx]{0,2}".prop_map(Json::from)
        ];
        let member = prop::sample::select(vec!["a", "b", "items", "ok"]);
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                prop::collection::hash_map(member.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|members| Json::Object(members.into_iter().collect()))
            ]
        })
    }

    /// Values, and conditions over them; no macro inside a macro, as in the config.
    fn expressions() -> impl Strategy<Value = String> {
        let path = prop::collection::vec(
            prop::sample::select(vec![
                ".a",
                ".b",
                ".items",
                ".ok",
                "['a']",
                ".?b.orValue(1)",
                "[0]",
                "[1]",
                "[body.a]",
                "[-1]",
            ]),
            0..4,
        );
        let of = move |root: &'static str| {
            path.clone()
                .prop_map(move |parts| format!("{root}{}", parts.concat()))
        };
        let simple = |of: BoxedStrategy<String>| {
            prop_oneof![
                of.clone(),
                of.clone().prop_map(|p| format!("size({p})")),
                of.clone().prop_map(|p| format!("{p}.size()")),
                (of.clone(), of.clone()).prop_map(|(a, b)| format!("(true ? {a} : {b})")),
                (of.clone(), of.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
                (of.clone(), of.clone()).prop_map(|(a, b)| format!("size([{a}, {b}])")),
                (of.clone(), of).prop_map(|(a, b)| format!("({a} + {b})")),
            ]
            .boxed()
        };
        let test = move |of: BoxedStrategy<String>| {
            let value = simple(of.clone());
            prop_oneof![
                (
                    value.clone(),
                    prop::sample::select(vec![
                        "== 1",
                        "!= null",
                        "> 0",
                        "== []",
                        "== {}",
                        "== 'a'",
                        "in [1, 'a', true]",
                        "== true"
                    ])
                )
                    .prop_map(|(v, rest)| format!("{v} {rest}")),
                (value.clone(), value.clone()).prop_map(|(a, b)| format!("{a} == {b}")),
                of.clone().prop_map(|p| format!("has({p}.a)")),
                of.clone().prop_map(|p| format!("'a' in {p}")),
                (value.clone(), value).prop_map(|(a, b)| format!("({a} == 1 || {b} == 'a')")),
            ]
            .boxed()
        };
        let of_body = of("body").boxed();
        let inner = prop_oneof![3 => of("i"), 1 => of("body")].boxed();
        let in_macro = test(inner.clone());
        let walk = (
            of_body.clone(),
            prop::sample::select(vec!["all", "exists", "exists_one"]),
            in_macro.clone(),
        );
        let gathered = (
            of_body.clone(),
            in_macro.clone(),
            prop::sample::select(vec![
                "== []",
                "== [1]",
                ".size() > 0",
                "[0].a == 1",
                "[0] == true",
            ]),
        );
        let mapped = (
            of_body.clone(),
            inner,
            in_macro,
            prop::sample::select(vec![
                "== []",
                "== [1]",
                ".size() > 1",
                "[0].a == 1",
                "[1] == 'a'",
            ]),
        );
        prop_oneof![
            test(of_body),
            walk.prop_map(|(p, name, test)| format!("{p}.{name}(i, {test})")),
            gathered.prop_map(|(p, test, rest)| format!("{p}.filter(i, {test}){rest}")),
            mapped
                .clone()
                .prop_map(|(p, value, _, rest)| format!("{p}.map(i, {value}){rest}")),
            mapped.prop_map(|(p, value, test, rest)| format!("{p}.map(i, {test}, {value}){rest}")),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_over_changes_no_verdict(json in bodies(), text in expressions()) {
            let tree = rewritten(environment().compile(&text).expect(&text).expression().clone());
            let cel = Cel::new(text.clone(), tree);
            let json = json.to_string();
            let context = |needs: &Needs| named(read(json.as_bytes(), needs).expect("JSON"));
            // The names of an object come in another order each time.
            let parts = text.split_once(".map(").or(text.split_once(".filter("));
            let is_ordered = parts.is_none_or(|(range, _)| {
                let tree = environment().compile(range).expect(range).expression().clone();
                !matches!(Value::resolve(&tree, &context(&Needs::whole())), Ok(Value::Map(_)))
            });
            if !is_ordered {
                return Ok(());
            }
            let found = |needs: &Needs| {
                Value::resolve(&cel.tree, &context(needs)).map_err(|_| "an error")
            };
            prop_assert_eq!(found(&cel.needs), found(&Needs::whole()), "{:?}", cel.needs);
            let watched = Value::resolve(&cel.watched, &context(&cel.needs));
            prop_assert_eq!(watched.map_err(|_| "an error"), found(&cel.needs));
        }
    }
}
