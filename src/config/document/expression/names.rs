//! What a CEL expression may name, held against it when the config is read: functions, types, and
//! kinds that can never meet.
//!
//! An interpreter finds a misspelt function only when it gets there, which would be an outage of an
//! endpoint that is well. What depends on the answer's JSON is `Any` here, and is found at run
//! time.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};

use super::kinds::{CelKind, Refusal};
use super::operations::operated;
use super::words::written;
use crate::config::document::tree::nearest;

/// A function: its name, how many arguments it takes, what it takes and what it gives.
struct Function(&'static str, usize, &'static [CelKind], CelKind);

const SIZED: &[CelKind] = &[
    CelKind::Text,
    CelKind::Bytes,
    CelKind::List,
    CelKind::Object,
];
const NUMERIC: &[CelKind] = &[CelKind::Number, CelKind::Text];
const TEXT: &[CelKind] = &[CelKind::Text];
/// Of anything.
const ALL: &[CelKind] = &[];

/// `f(x)`. A test holds them against the interpreter.
const GLOBAL: &[Function] = &[
    Function("size", 1, SIZED, CelKind::Number),
    Function(
        "string",
        1,
        &[
            CelKind::Bool,
            CelKind::Number,
            CelKind::Text,
            CelKind::Bytes,
        ],
        CelKind::Text,
    ),
    Function("int", 1, NUMERIC, CelKind::Number),
    Function("uint", 1, NUMERIC, CelKind::Number),
    Function("double", 1, NUMERIC, CelKind::Number),
    Function("bool", 1, &[CelKind::Bool, CelKind::Text], CelKind::Bool),
    Function("bytes", 1, &[CelKind::Bytes, CelKind::Text], CelKind::Bytes),
    Function("dyn", 1, ALL, CelKind::Any),
    Function("type", 1, ALL, CelKind::Type),
    Function("matches", 2, TEXT, CelKind::Bool),
    Function("optional.of", 1, ALL, CelKind::Optional),
    Function("optional.ofNonZeroValue", 1, ALL, CelKind::Optional),
    Function("optional.none", 0, ALL, CelKind::Optional),
];
/// `x.f()`: the number of arguments is that behind the target.
const MEMBER: &[Function] = &[
    Function("size", 0, SIZED, CelKind::Number),
    Function("contains", 1, TEXT, CelKind::Bool),
    Function("startsWith", 1, TEXT, CelKind::Bool),
    Function("endsWith", 1, TEXT, CelKind::Bool),
    Function("matches", 1, TEXT, CelKind::Bool),
    Function("value", 0, &[CelKind::Optional], CelKind::Any),
    Function("hasValue", 0, &[CelKind::Optional], CelKind::Bool),
    Function("or", 1, &[CelKind::Optional], CelKind::Optional),
    Function("orValue", 1, &[CelKind::Optional], CelKind::Any),
];
/// Macros with their form: the parser has taken the well-formed ones away.
const MACROS: &[(&str, &str)] = &[
    ("has", "has(body.name)"),
    ("all", "body.items.all(x, x.live)"),
    ("exists", "body.items.exists(x, x.live)"),
    ("exists_one", "body.items.exists_one(x, x.live)"),
    ("existsOne", "body.items.existsOne(x, x.live)"),
    ("map", "body.items.map(x, x.age)"),
    ("filter", "body.items.filter(x, x.live)"),
];
const TYPES: [&str; 10] = [
    "int",
    "uint",
    "double",
    "bool",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
];

const SIZE: &str = "The number of elements, members or characters is size(x).";
const DATES: &str = "Expressions know no dates. Times in RFC 3339 and UTC compare as texts: \
    body.at > '2026-01-01T00:00:00Z'.";
/// The largest program of a pattern, in bytes, as elsewhere.
const PATTERN_LIMIT: usize = 1 << 20;
const CASE: &str =
    "Expressions do not change the case. Match without it: body.name.matches('(?i)^ok$').";
/// What other languages call it, and what to write here.
const FOREIGN: &[(&str, &str)] = &[
    ("len", SIZE),
    ("length", SIZE),
    ("count", SIZE),
    ("strlen", SIZE),
    ("timestamp", DATES),
    ("duration", DATES),
    ("now", DATES),
    ("date", DATES),
    ("datetime", DATES),
    ("getFullYear", DATES),
    ("getSeconds", DATES),
    ("lower", CASE),
    ("upper", CASE),
    ("lowerAscii", CASE),
    ("upperAscii", CASE),
    ("toLowerCase", CASE),
    ("toUpperCase", CASE),
    (
        "includes",
        "Write body.name.contains('x') for a string, 'x' in body.list for a list.",
    ),
    (
        "include",
        "Write body.name.contains('x') for a string, 'x' in body.list for a list.",
    ),
    ("any", "Write body.items.exists(x, x.live)."),
    ("some", "Write body.items.exists(x, x.live)."),
    ("every", "Write body.items.all(x, x.live)."),
    ("float", "Write double(x)."),
    ("number", "Write double(x)."),
    ("str", "Write string(x)."),
    ("match", "Write body.name.matches('^ok$')."),
    ("regex", "Write body.name.matches('^ok$')."),
    (
        "max",
        "There is no maximum or minimum. Compare each value: body.a > 1 && body.b > 1.",
    ),
    (
        "min",
        "There is no maximum or minimum. Compare each value: body.a > 1 && body.b > 1.",
    ),
    ("None", "Write null."),
    ("nil", "Write null."),
    (
        "undefined",
        "Write has(body.name) to ask whether a member is there.",
    ),
    (
        "defined",
        "Write has(body.name) to ask whether a member is there.",
    ),
    (
        "exist",
        "Write has(body.name) to ask whether a member is there.",
    ),
    ("True", "Write true."),
    ("False", "Write false."),
];

/// Names that macros declare, with what is known of them.
type Scope<'s> = Vec<(&'s str, CelKind)>;

/// What an expression gives, or why it never can.
pub(in crate::config) fn kind(root: &IdedExpr) -> Result<CelKind, Refusal> {
    of(root, &mut vec![("body", CelKind::Any)])
}

fn of<'e>(node: &'e IdedExpr, scope: &mut Scope<'e>) -> Result<CelKind, Refusal> {
    match &node.expr {
        Expr::Unspecified => Ok(CelKind::Any),
        Expr::Literal(literal) => Ok(of_literal(literal)),
        Expr::Ident(name) => of_name(name, scope),
        Expr::Select(select) => member(node, select, scope),
        Expr::Call(call) => called(node, call, scope),
        Expr::Comprehension(walk) => macro_of(walk, scope),
        Expr::List(list) => list
            .elements
            .iter()
            .try_for_each(|e| of(e, scope).map(|_| ()))
            .map(|()| CelKind::List),
        Expr::Map(map) => map
            .entries
            .iter()
            .try_for_each(|e| pair(&e.expr, scope))
            .map(|()| CelKind::Object),
        Expr::Struct(one) => Err(unknown("type", &one.type_name, &TYPES, "")),
    }
}

fn of_literal(literal: &LiteralValue) -> CelKind {
    match literal {
        LiteralValue::Boolean(_) => CelKind::Bool,
        LiteralValue::Bytes(_) => CelKind::Bytes,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => CelKind::Number,
        LiteralValue::Null => CelKind::Null,
        LiteralValue::String(_) => CelKind::Text,
    }
}

fn of_name(name: &str, scope: &Scope) -> Result<CelKind, Refusal> {
    if let Some((_, kind)) = scope.iter().rev().find(|(n, _)| *n == name) {
        return Ok(*kind);
    }
    if TYPES.contains(&name) || name == "optional_type" {
        return Ok(CelKind::Type);
    }
    let known: Vec<&str> = scope
        .iter()
        .map(|(n, _)| *n)
        .filter(|n| !n.starts_with('@'))
        .chain(["true", "false", "null"])
        .collect();
    let refusal = unknown(
        "name",
        name,
        &known,
        "The decoded JSON body is called `body`.",
    );
    Err((
        format!("names something that is not there: {}", refusal.0),
        refusal.1,
    ))
}

/// A name that does not exist, with what may have been meant.
fn unknown(what: &str, name: &str, known: &[&str], otherwise: &str) -> Refusal {
    let foreign = FOREIGN
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, advice)| (*advice).to_owned());
    let same = known.iter().find(|k| k.eq_ignore_ascii_case(name)).copied();
    let advice = match (same.or(nearest(name, known)), foreign) {
        (Some(near), None) => format!("Did you mean `{near}`?"),
        (_, Some(advice)) => advice,
        (None, None) if otherwise.is_empty() => format!("Known are {}.", known.join(", ")),
        (None, None) => otherwise.to_owned(),
    };
    (
        format!("there is no {what} `{}`", name.escape_debug()),
        advice,
    )
}

fn member<'e>(
    node: &'e IdedExpr,
    select: &'e SelectExpr,
    scope: &mut Scope<'e>,
) -> Result<CelKind, Refusal> {
    let kind = of(&select.operand, scope)?;
    let operand = written(&select.operand);
    match kind {
        // What JavaScript writes for a size would be looked up as a member of the JSON.
        CelKind::Any if select.field == "length" && !select.test => Err((
            format!("asks for a member `length` in `{}`", written(node)),
            format!(
                "The number of elements or characters is size({operand}). A member of that name \
                    is {operand}['length']."
            ),
        )),
        CelKind::Any | CelKind::Object | CelKind::Optional => Ok(if select.test {
            CelKind::Bool
        } else {
            CelKind::Any
        }),
        CelKind::Bool
        | CelKind::Number
        | CelKind::Text
        | CelKind::Bytes
        | CelKind::List
        | CelKind::Null
        | CelKind::Type => {
            let advice = FOREIGN
                .iter()
                .find(|(n, _)| *n == select.field)
                .map_or("Only objects have members.", |(_, advice)| advice);
            Err((
                format!(
                    "asks {} for a member `{}` in `{}`",
                    kind.noun(),
                    select.field,
                    written(node)
                ),
                advice.to_owned(),
            ))
        }
    }
}

fn pair<'e>(entry: &'e EntryExpr, scope: &mut Scope<'e>) -> Result<(), Refusal> {
    match entry {
        EntryExpr::StructField(field) => of(&field.value, scope).map(|_| ()),
        EntryExpr::MapEntry(pair) => of(&pair.key, scope)
            .and_then(|_| of(&pair.value, scope))
            .map(|_| ()),
    }
}

fn macro_of<'e>(walk: &'e ComprehensionExpr, scope: &mut Scope<'e>) -> Result<CelKind, Refusal> {
    let range = of(&walk.iter_range, scope)?;
    if !matches!(range, CelKind::Any | CelKind::List | CelKind::Object) {
        return Err((
            format!(
                "walks over `{}`, which is {}",
                written(&walk.iter_range),
                range.noun()
            ),
            "Only lists and objects have elements.".into(),
        ));
    }
    let gathered = of(&walk.accu_init, scope)?;
    let before = scope.len();
    scope.extend([
        (walk.iter_var.as_str(), CelKind::Any),
        (walk.accu_var.as_str(), gathered),
    ]);
    scope.extend(walk.iter_var2.as_deref().map(|name| (name, CelKind::Any)));
    let found = of(&walk.loop_cond, scope)
        .and_then(|_| of(&walk.loop_step, scope))
        .and_then(|_| of(&walk.result, scope));
    scope.truncate(before);
    found
}

fn called<'e>(
    node: &'e IdedExpr,
    call: &'e CallExpr,
    scope: &mut Scope<'e>,
) -> Result<CelKind, Refusal> {
    let name = call.func_name.as_str();
    // A name is looked for before its arguments: those of an unknown macro name things that it
    // would have declared.
    let (function, target, pattern) = match &call.target {
        None => (GLOBAL.iter().find(|f| f.0 == name), None, call.args.get(1)),
        Some(target) => {
            let qualified = format!("{}.{name}", written(target));
            match GLOBAL.iter().find(|f| f.0 == qualified) {
                Some(function) => (Some(function), None, None),
                None => match MEMBER.iter().find(|f| f.0 == name) {
                    Some(function) => (Some(function), Some(target.as_ref()), call.args.first()),
                    None => return Err(no_function(name, &qualified, MEMBER)),
                },
            }
        }
    };
    // Operators have names that no expression can call.
    if function.is_none() && !name.starts_with(['_', '@', '!', '-']) {
        return Err(no_function(name, name, GLOBAL));
    }
    let kinds = target
        .into_iter()
        .chain(&call.args)
        .map(|part| of(part, scope))
        .collect::<Result<Vec<_>, _>>()?;
    match function {
        None => {
            operated(node, name, &kinds).unwrap_or_else(|| Err(no_function(name, name, GLOBAL)))
        }
        Some(function) => {
            check_regex(name, pattern)?;
            taken(node, function, &kinds, call.args.len())
        }
    }
}

fn no_function(name: &str, shown: &str, known: &[Function]) -> Refusal {
    if let Some((_, form)) = MACROS.iter().find(|(n, _)| *n == name) {
        return (
            format!("writes `{name}` in a form that it does not have"),
            format!("Write {form}."),
        );
    }
    let own = |list: &'static [Function]| list.iter().map(|f| f.0);
    let names: Vec<&str> = known
        .iter()
        .map(|f| f.0)
        .chain(MACROS.iter().map(|(n, _)| *n))
        .collect();
    // `startsWith(a, b)` for `a.startsWith(b)`, and the other way round.
    if let Some(other) = own(GLOBAL).chain(own(MEMBER)).find(|n| *n == name) {
        let form = if own(MEMBER).any(|n| n == other) {
            format!("x.{other}(...)")
        } else {
            format!("{other}(x)")
        };
        return (
            format!("has no function `{}`", shown.escape_debug()),
            format!("Write {form}."),
        );
    }
    let (_, advice) = unknown("function", name, &names, "");
    (format!("has no function `{}`", name.escape_debug()), advice)
}

/// Whether a function takes what it is given.
fn taken(
    node: &IdedExpr,
    function: &Function,
    kinds: &[CelKind],
    given: usize,
) -> Result<CelKind, Refusal> {
    let Function(name, wanted, takes, gives) = function;
    if given != *wanted {
        let count = |n: usize| {
            if n == 1 {
                "1 argument".to_owned()
            } else {
                format!("{n} arguments")
            }
        };
        return Err((
            format!("gives `{name}` {} in `{}`", count(given), written(node)),
            format!("It accepts {}.", count(*wanted)),
        ));
    }
    // Arguments behind an optional value may be anything.
    let held = if takes.contains(&CelKind::Optional) {
        &kinds[..1]
    } else {
        kinds
    };
    if let Some(kind) = held
        .iter()
        .find(|k| !takes.is_empty() && **k != CelKind::Any && !takes.contains(k))
    {
        let list = takes
            .iter()
            .map(|k| k.noun())
            .collect::<Vec<_>>()
            .join(", ");
        return Err((
            format!("gives `{name}` {} in `{}`", kind.noun(), written(node)),
            format!("It accepts {list}."),
        ));
    }
    Ok(*gives)
}

fn check_regex(name: &str, pattern: Option<&IdedExpr>) -> Result<(), Refusal> {
    let ("matches", Some(pattern)) = (name, pattern) else {
        return Ok(());
    };
    let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else {
        let why = format!(
            "uses a value as the pattern of `matches`: `{}`",
            written(pattern)
        );
        return Err((
            why,
            "Write the pattern as a text in quotes: the server that is probed must \
            not choose the pattern."
                .into(),
        ));
    };
    if let Err(error) = regex::RegexBuilder::new(text.inner())
        .size_limit(PATTERN_LIMIT)
        .build()
    {
        let last = error
            .to_string()
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned();
        return Err((
            format!("has an invalid regular expression: {last}"),
            "Use the syntax of the Rust regex crate; it has no look-around and no back-references."
                .into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::expression::numbers::environment;
    use cel::{Context, Value};

    fn checked(text: &str) -> Result<CelKind, Refusal> {
        kind(environment().compile(text).expect(text).expression())
    }

    #[test]
    fn what_does_not_exist_is_refused_with_what_may_have_been_meant() {
        for (text, problem, advice) in [
            (
                "body.name.startWith('a')",
                "no function `startWith`",
                "`startsWith`",
            ),
            (
                "body.name.startswith('a')",
                "no function `startswith`",
                "`startsWith`",
            ),
            ("len(body.items) > 3", "no function `len`", "size(x)"),
            ("length(body.items) > 3", "no function `length`", "size(x)"),
            ("body.items.length() > 3", "no function `length`", "size(x)"),
            ("body.items.len() > 3", "no function `len`", "size(x)"),
            (
                "body.items.length > 3",
                "member `length`",
                "size(body.items)",
            ),
            ("'abc'.length > 3", "member `length`", "size(x)"),
            (
                "timestamp(body.at) < timestamp('2026-01-01T00:00:00Z')",
                "no function `timestamp`",
                "RFC 3339",
            ),
            (
                "type(body.at) == timestamp",
                "no name `timestamp`",
                "RFC 3339",
            ),
            (
                "duration('1h') > body.age",
                "no function `duration`",
                "RFC 3339",
            ),
            (
                "body.at.getFullYear() == 2026",
                "no function `getFullYear`",
                "RFC 3339",
            ),
            ("type(body.n) == integer", "no name `integer`", "`body`"),
            (
                "Person{name: 'a'}.name == 'a'",
                "no type `Person`",
                "Known are",
            ),
            (
                "body.name.lowerAscii() == 'ok'",
                "no function `lowerAscii`",
                "(?i)",
            ),
            (
                "status == 'ok'",
                "not there: there is no name `status`",
                "`body`",
            ),
            ("Body.status == 'ok'", "no name `Body`", "`body`"),
            ("body.items.all(x, y.live)", "no name `y`", "`body`"),
            ("body.status == None", "no name `None`", "null"),
            ("body.ok == True", "no name `True`", "Write true"),
            (
                "startsWith(body.name, 'a')",
                "no function `startsWith`",
                "x.startsWith",
            ),
            ("body.items.int() > 3", "no function", "int(x)"),
            ("body.items.all(x)", "`all` in a form", "all(x, x.live)"),
            ("has(body)", "`has` in a form", "has(body.name)"),
            (
                "body.items.any(x, x.live)",
                "no function `any`",
                "exists(x, x.live)",
            ),
            (
                "max(body.a, body.b) > 1",
                "no function `max`",
                "Compare each value",
            ),
            ("size(body.a, body.b) > 1", "2 arguments", "1 argument"),
            ("body.name.contains() ", "0 arguments", "1 argument"),
            (
                "body.name.matches('(')",
                "invalid regular expression",
                "regex crate",
            ),
            (
                "matches(body.name, '[')",
                "invalid regular expression",
                "regex crate",
            ),
        ] {
            match environment().compile(text) {
                Ok(program) => {
                    let (found, what) = kind(program.expression()).expect_err(text);
                    assert!(
                        found.contains(problem) && what.contains(advice),
                        "{text}: {found} / {what}"
                    );
                }
                // Some the parser refuses by itself.
                Err(error) => assert!(text.starts_with("has(body)"), "{text}: {error}"),
            }
        }
    }

    #[test]
    fn kinds_that_can_never_meet_are_refused() {
        for text in [
            "size(body.items) == '3'",
            "'a' < 1",
            "1 + 'a' == 'b'",
            "size(5) > 1",
            "!size(body.items)",
            "size(body.items) && true",
            "'a' in 'abc'",
            "body.ok || 'yes'",
            "'abc'[0] == 'a'",
            "[1] < [2]",
            "'a' * 2 == 'aa'",
            "-'a' == 1",
            "5 ? true : false",
            "'abc'.all(c, c == 'a')",
            "string(body.n) > 5",
            "body.n == 1 == 'true'",
            "5.startsWith('a')",
            "(1).foo == 2",
        ] {
            match environment().compile(text) {
                Ok(program) => assert!(kind(program.expression()).is_err(), "{text}"),
                Err(error) => panic!("{text}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_right_is_taken_and_its_kind_is_known() {
        for (text, expected) in [
            (
                "body.status == 'ok' && body.queue < 100 && has(body.name)",
                CelKind::Bool,
            ),
            ("body", CelKind::Any),
            ("body.a.b.c", CelKind::Any),
            ("body['length'] > 3 && has(body.length)", CelKind::Bool),
            (
                "body.items.filter(i, i.live).map(i, i.age * 2)",
                CelKind::List,
            ),
            (
                "body.items.exists_one(i, i == 3) && body.items.existsOne(i, i == 3)",
                CelKind::Bool,
            ),
            ("body.m.all(k, body.m[k] > 0)", CelKind::Bool),
            (
                "body.?a.orValue(3) == 3 && optional.of(1).hasValue() && \
                    optional.none().or(optional.of(body.x)).value() == 1",
                CelKind::Bool,
            ),
            ("body.a == null || null != 1", CelKind::Bool),
            (
                "type(body.a) == string && type(null) == null_type && type(type(1)) == type",
                CelKind::Bool,
            ),
            ("body.n % 2 == 0 ? 'even' : 'odd'", CelKind::Text),
            (
                "size(body.list.map(x, x.size)) > 3 ? body.ok : !body.failed",
                CelKind::Any,
            ),
            ("body.a + ' ' + body.b == 'x y'", CelKind::Bool),
            ("body.n in [1, 2.0, 3u] && 'k' in body.m", CelKind::Bool),
            (
                "matches(body.name, '(?i)^ok$') && bool(body.flag) && string(bytes(body.name)) == \
                    'a'",
                CelKind::Bool,
            ),
            ("{'a': 1}.a == 1 && [1, 2][0] == 1", CelKind::Bool),
            ("1 + 1", CelKind::Number),
        ] {
            assert_eq!(checked(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_functions_that_are_known_are_those_of_the_interpreter() {
        let told = |text: &str| {
            let program = environment().compile(text).expect(text);
            let mut context = Context::with_env(environment());
            context.add_variable_from_value("body", Value::Null);
            program
                .execute(&context)
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default()
        };
        let list = |n: usize| vec!["body"; n].join(", ");
        for Function(name, count, ..) in GLOBAL {
            assert!(
                !told(&format!("{name}({})", list(*count))).contains("ndeclared"),
                "{name}"
            );
        }
        for Function(name, count, ..) in MEMBER {
            assert!(
                !told(&format!("body.{name}({})", list(*count))).contains("ndeclared"),
                "{name}"
            );
        }
        for name in TYPES {
            assert!(!told(name).contains("ndeclared"), "{name}");
        }
        for (name, _) in FOREIGN {
            assert!(
                told(&format!("{name}(body)")).contains("ndeclared"),
                "{name} is there"
            );
            assert!(
                told(&format!("body.{name}()")).contains("ndeclared"),
                "{name} is there"
            );
        }
    }
}
