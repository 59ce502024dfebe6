//! Numbers in CEL expressions: one kind, however JSON writes them.
//!
//! JSON has one kind of number and CEL has three that do not mix, so `body.f * 2` would be an error
//! whenever a server writes `1.0` in place of `1`. [`rewritten`] replaces the arithmetic of an
//! expression by functions that take any of the three, [`environment`] declares them, and
//! [`number`] gives the same value the same representation. `matches` is replaced by one that
//! compiles a pattern once. Nothing else of CEL changes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, operators};
use cel::common::types::{CelBool, CelDouble, CelInt, CelString, CelUInt, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError, IdedExpr, Value};
use regex::Regex;

use super::parts::parts_mut;
use super::watched::{self, WATCHED, pass};
use crate::config::document::search::{self, End, Spent};

/// What a comprehension (a macro) gathers; no expression can name it.
pub const RESULT: &str = "@result";
/// Operators and functions of CEL, and the functions of ours that stand for them.
pub const REPLACED: [(&str, &str); 6] = [
    (operators::ADD, "@add"),
    (operators::SUBSTRACT, "@sub"),
    (operators::MULTIPLY, "@mul"),
    (operators::DIVIDE, "@div"),
    (operators::MODULO, "@rem"),
    ("matches", MATCHES),
];
/// CEL's own compiles its pattern for each element of a list: 26 ms for 4 KiB of texts.
pub const MATCHES: &str = "@matches";
/// Patterns that a thread keeps.
const PATTERNS: usize = 8;
/// Whole numbers below this are exact as a float, and so are all their neighbours.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// CEL's standard functions and the arithmetic over all numbers; made once, shared by every probe.
pub fn environment() -> Arc<Env> {
    static SHARED: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::stdlib();
        let operations: [cel::common::functions::Function; 6] = [add, sub, mul, div, rem, matches];
        for ((_, name), operation) in REPLACED.iter().zip(operations) {
            env.add_overload(name, name, vec![DYN_TYPE, DYN_TYPE], operation)
                .expect("no standard function has such a name");
        }
        env.add_overload(WATCHED, WATCHED, vec![DYN_TYPE], pass)
            .expect("no standard function has such a name");
        Arc::new(env)
    });
    SHARED.clone()
}

/// A number of JSON: the same value is the same, written `1`, `1.0` or `1e0`.
///
/// As CEL's own mapping of JSON has it, numbers are floats; whole ones that a float cannot hold
/// with their neighbours stay integers, so that identifiers of 64 bits are compared digit by digit.
pub fn number(json: &serde_json::Number) -> Value {
    let float = json.as_f64().unwrap_or(f64::NAN);
    if float.abs() < EXACT {
        return Value::Float(float);
    }
    match (json.as_i64(), json.as_u64()) {
        (Some(i), _) => Value::Int(i),
        (None, Some(u)) => Value::UInt(u),
        // Written with a point or an exponent: every float of this size is whole.
        (None, None) if float.abs() < i64::MAX as f64 => Value::Int(float as i64),
        (None, None) => Value::Float(float),
    }
}

/// The same tree with its arithmetic over all numbers.
pub fn rewritten(mut node: IdedExpr) -> IdedExpr {
    rewrite(&mut node);
    node
}

fn rewrite(node: &mut IdedExpr) {
    if let Expr::Call(call) = &mut node.expr {
        // What a macro adds to its own result stays as the interpreter knows it: it appends in
        // place.
        let is_gathering = call
            .args
            .first()
            .is_some_and(|a| matches!(&a.expr, Expr::Ident(name) if name == RESULT));
        if let Some((_, name)) = REPLACED
            .iter()
            .find(|(operator, _)| *operator == call.func_name)
            && !is_gathering
        {
            // `text.matches(pattern)` and `matches(text, pattern)` are the same.
            call.args
                .splice(0..0, call.target.take().map(|target| *target));
            call.func_name = (*name).to_owned();
        }
    }
    parts_mut(node).into_iter().for_each(rewrite);
}

/// A number as CEL has it.
#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    fn of(value: &(dyn Val + '_)) -> Option<Self> {
        if let Some(i) = value.downcast_ref::<CelInt>() {
            return Some(Number::Whole(i128::from(*i.inner())));
        }
        if let Some(u) = value.downcast_ref::<CelUInt>() {
            return Some(Number::Whole(i128::from(*u.inner())));
        }
        value
            .downcast_ref::<CelDouble>()
            .map(|f| Number::Float(*f.inner()))
    }

    fn float(self) -> f64 {
        match self {
            Number::Whole(n) => n as f64,
            Number::Float(f) => f,
        }
    }

    /// Whole numbers outside of 64 bits go on as floats.
    fn boxed<'v>(self) -> Box<dyn Val + 'v> {
        match self {
            Number::Float(f) => Box::new(CelDouble::from(f)),
            Number::Whole(n) => match (i64::try_from(n), u64::try_from(n)) {
                (Ok(i), _) => Box::new(CelInt::from(i)),
                (Err(_), Ok(u)) => Box::new(CelUInt::from(u)),
                (Err(_), Err(_)) => Box::new(CelDouble::from(n as f64)),
            },
        }
    }
}

type Done<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Whole numbers stay whole, anything else is reckoned in floats; `None` where it cannot be.
fn reckoned<'b, 'v>(
    sign: &'static str,
    args: &[CowVal<'b, 'v>],
    whole: impl Fn(i128, i128) -> Option<i128>,
    float: impl Fn(f64, f64) -> Option<f64>,
) -> Option<Done<'b, 'v>> {
    let [a, b] = args else { return None };
    let (a, b) = (Number::of(a.as_ref())?, Number::of(b.as_ref())?);
    let found = match (a, b) {
        (Number::Whole(a), Number::Whole(b)) => whole(a, b).map(Number::Whole),
        (a, b) => float(a.float(), b.float()).map(Number::Float),
    };
    let by_zero = || ExecutionError::function_error(sign, "division by zero");
    Some(found.map(|n| CowVal::Owned(n.boxed())).ok_or_else(by_zero))
}

fn refused<'b, 'v>(sign: &'static str, args: &[CowVal<'b, 'v>]) -> Done<'b, 'v> {
    Err(ExecutionError::no_such_overload(
        sign,
        args.iter()
            .map(|a| a.get_type().name().to_owned())
            .collect(),
    ))
}

/// What one evaluation may join, in bytes.
const JOINED_LIMIT: usize = 16 << 20;

thread_local! {
    static JOINED: Cell<usize> = const { Cell::new(JOINED_LIMIT) };
}

/// An evaluation begins on this thread.
pub fn begin() {
    JOINED.set(JOINED_LIMIT);
}

/// The bytes of a text, and of the elements of a list.
fn length(value: &(dyn Val + '_)) -> usize {
    const ELEMENT: usize = 64;
    match value.downcast_ref::<CelString<'_>>() {
        Some(text) => text.inner().len(),
        None => {
            value.as_sizer().map_or(0, |sizer| {
                usize::try_from(*sizer.size().inner()).unwrap_or(0)
            }) * ELEMENT
        }
    }
}

fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Done<'b, 'v> {
    if let Some(done) = reckoned("+", &args, |a, b| Some(a + b), |a, b| Some(a + b)) {
        return done;
    }
    // Texts, lists and bytes are joined.
    match args.as_slice() {
        [a, b] => match a.as_adder() {
            Some(adder) => {
                let left = JOINED
                    .get()
                    .checked_sub(length(a.as_ref()) + length(b.as_ref()));
                JOINED.set(left.ok_or_else(|| {
                    ExecutionError::function_error(
                        "+",
                        format!(
                            "the texts and lists that are joined exceed {} MiB",
                            JOINED_LIMIT >> 20
                        ),
                    )
                })?);
                Ok(CowVal::Owned(adder.add(b.as_ref())?.into_owned()))
            }
            None => refused("+", &args),
        },
        _ => refused("+", &args),
    }
}

fn sub<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Done<'b, 'v> {
    reckoned("-", &args, |a, b| Some(a - b), |a, b| Some(a - b))
        .unwrap_or_else(|| refused("-", &args))
}

fn mul<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Done<'b, 'v> {
    // 64 bits times 64 bits fit into 128.
    reckoned("*", &args, |a, b| a.checked_mul(b), |a, b| Some(a * b))
        .unwrap_or_else(|| refused("*", &args))
}

fn div<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Done<'b, 'v> {
    reckoned("/", &args, i128::checked_div, |a, b| {
        (b != 0.0).then(|| a / b)
    })
    .unwrap_or_else(|| refused("/", &args))
}

fn rem<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Done<'b, 'v> {
    reckoned("%", &args, i128::checked_rem, |a, b| {
        (b != 0.0).then(|| a % b)
    })
    .unwrap_or_else(|| refused("%", &args))
}

/// Bytes of a text through which any pattern is led at once: the most expensive takes some
/// milliseconds.
const SMALL: usize = 256;

/// A text may be long, and made so that the search takes long: it ends when the time is over.
fn found(regex: &Regex, text: &str) -> Result<bool, ExecutionError> {
    if text.len() <= SMALL {
        return Ok(regex.is_match(text));
    }
    search::found_in_time(
        regex.as_str(),
        text.as_bytes(),
        End::Whole,
        &watched::goes_on_now,
    )
    .unwrap_or_else(|| Ok(regex.is_match(text)))
    .map_err(|Spent| watched::no_time_left("matches"))
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Done<'b, 'v> {
    type Patterns = VecDeque<(String, Regex)>;
    thread_local! {
        static COMPILED: RefCell<Patterns> = const { RefCell::new(VecDeque::new()) };
    }
    let text = |k: usize| {
        args.get(k)
            .and_then(|value| value.as_ref().downcast_ref::<CelString<'_>>())
    };
    let (Some(text), Some(pattern)) = (text(0), text(1)) else {
        return refused("matches", &args);
    };
    let pattern = pattern.inner();
    let is_match = COMPILED.with_borrow_mut(|compiled| {
        if let Some((_, regex)) = compiled.iter().find(|(known, _)| known == pattern) {
            return found(regex, text.inner());
        }
        let regex = Regex::new(pattern).map_err(|why| {
            ExecutionError::function_error(
                "matches",
                format!("'{pattern}' not a valid regex:\n{why}"),
            )
        })?;
        let is_match = found(&regex, text.inner());
        compiled.truncate(PATTERNS - 1);
        compiled.push_front((pattern.to_owned(), regex));
        is_match
    })?;
    Ok(CowVal::Owned(Box::new(CelBool::from(is_match))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cel::Context;

    fn value(text: &str, json: &str) -> Result<Value, String> {
        let tree = rewritten(
            environment()
                .compile(text)
                .expect(text)
                .expression()
                .clone(),
        );
        let json: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let mut context = Context::with_env(environment());
        context.add_variable_from_value("n", number(json.as_number().expect("a number")));
        Value::resolve(&tree, &context).map_err(|e| e.to_string())
    }

    #[test]
    fn a_number_reckons_alike_however_json_writes_it() {
        let texts = [
            "n * 2 == 4",
            "2 * n == 4.0",
            "n + 1 > 2",
            "n - 0.5 == 1.5",
            "1 - n == -1",
            "n / 4 == 0.5",
            "4 / n == 2",
            "n % 2 == 0",
            "7.5 % n == 1.5",
            "-n == -2",
            "n in [1, 2]",
            "n == 2 && 2 == n && n == 2u && n == 2.0",
            "n >= 2 && n <= 2u && n < 2.5",
            "[1, 2, 3][n] == 3",
            "{2: 'a'}[n] == 'a'",
            "string(n) == '2'",
            "int(n) == 2 && double(n) == 2.0",
            "size('ab') * n == 4",
            "[n] == [2]",
            "[1, n].map(x, x * n) == [2, 4]",
            "type(n) == double",
        ];
        for text in texts {
            for json in ["2", "2.0", "2e0", "20e-1", "0.2e1"] {
                assert_eq!(
                    value(text, json),
                    Ok(Value::Bool(true)),
                    "{text} with {json}"
                );
            }
        }
    }

    #[test]
    fn identifiers_of_64_bits_are_compared_digit_by_digit() {
        for id in [
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            assert_eq!(
                value(&format!("n == {id}"), id),
                Ok(Value::Bool(true)),
                "{id}"
            );
            let next = id
                .parse::<i64>()
                .expect("whole")
                .checked_add(1)
                .unwrap_or(0);
            assert_eq!(
                value(&format!("n == {next}"), id),
                Ok(Value::Bool(false)),
                "{id}"
            );
        }
        assert_eq!(
            value("n == 18446744073709551615u", "18446744073709551615"),
            Ok(Value::Bool(true))
        );
        assert_eq!(
            value("n == 18446744073709551614u", "18446744073709551615"),
            Ok(Value::Bool(false))
        );
        assert_eq!(
            value("n == 100000000000000000", "1e17"),
            Ok(Value::Bool(true))
        );
        assert_eq!(
            value(
                "n * n > 0 && n + n > n && n - n == 0",
                "9223372036854775807"
            ),
            Ok(Value::Bool(true)),
            "no overflow"
        );
    }

    #[test]
    fn division_by_zero_is_an_error_in_every_writing() {
        for text in [
            "5 / n", "5.0 / n", "5 % n", "5.5 % n", "n / n", "1 / 0", "1 / 0.0",
        ] {
            for json in ["0", "0.0", "-0.0", "0e5"] {
                let why = value(text, json).expect_err(text);
                assert!(
                    why.contains("division by zero"),
                    "{text} with {json}: {why}"
                );
            }
        }
    }

    #[test]
    fn what_an_evaluation_joins_is_bounded() {
        let long = format!("'{}'", "a".repeat(1000));
        let list = format!(
            "[{}].map(x, x + '{}')",
            format!("{long}, ").repeat(50).trim_end_matches(", "),
            "b".repeat(1000)
        );
        for _ in 0..JOINED_LIMIT / (50 * 2000) {
            assert!(value(&list, "1").is_ok());
        }
        assert!(value(&list, "1").is_err_and(|why| why.contains("exceed 16 MiB")));
        begin();
        assert!(value(&list, "1").is_ok());
    }

    #[test]
    fn a_pattern_matches_as_in_cel_however_it_is_called_and_however_many_there_are() {
        for text in [
            "'abc'.matches('^a')",
            "matches('abc', 'c$')",
            "!'abc'.matches('^b')",
            "['a', 'b'].all(x, x.matches('^[ab]$'))",
        ] {
            assert_eq!(value(text, "2"), Ok(Value::Bool(true)), "{text}");
        }
        let many = (0..PATTERNS * 3)
            .map(|k| format!("'a{k}'.matches('^a{k}$')"))
            .collect::<Vec<_>>()
            .join(" && ");
        for _ in 0..2 {
            assert_eq!(value(&many, "2"), Ok(Value::Bool(true)));
        }
        assert!(
            value("'a'.matches('(' + string(n))", "2")
                .is_err_and(|why| why.contains("not a valid regex"))
        );
        assert!(value("'a'.matches(n)", "2").is_err_and(|why| why.contains("matches")));
    }

    #[test]
    fn what_is_no_number_is_joined_or_refused() {
        assert_eq!(
            value("'a' + 'b' == 'ab' && [1] + [n] == [1, 2]", "2"),
            Ok(Value::Bool(true))
        );
        for text in [
            "'a' * n", "'a' + n", "n + 'a'", "[1] - n", "true + n", "null / n", "n % 'a'",
        ] {
            assert!(value(text, "2").is_err(), "{text}");
        }
    }
}
