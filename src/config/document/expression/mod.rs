//! CEL expressions whose cost is bounded: short, shallow, and no macro inside a macro
//! (docs/decisions/007-bounded-cel.md).

pub mod cost;
mod kinds;
mod names;
pub mod needs;
pub mod numbers;
mod operations;
mod parts;
pub mod walks;
pub mod watched;
pub mod words;

use cel::IdedExpr;
use cel::common::ast::Expr;

use self::kinds::{CelKind, Refusal};
use self::names::kind;
use self::numbers::{environment, rewritten};
use self::parts::parts;
use self::walks::{MADE_LIMIT, made, repeated};
use self::words::written;
use super::tree::Item;
use crate::config::document::problem::Problem;
use crate::config::plan::probe::Cel;

/// The longest expression, in bytes.
const LENGTH_LIMIT: usize = 1000;
/// How many brackets may open, those in texts included: the parser recurses for each, before
/// anybody knows the tree.
const BRACKET_LIMIT: usize = 100;
/// The deepest tree: evaluation recurses too, on threads with a stack of two megabytes.
const DEPTH_LIMIT: usize = 32;
/// Stack to parse on: a hundred brackets took 16 MiB of it in a debug build.
const PARSER_STACK: usize = 64 << 20;

const ADVICE: &str =
    "Write an expression over `body` that gives true or false: \"body.status == 'ok'\".";

pub fn expression(item: &Item) -> Option<Cel> {
    let text = item.text()?;
    match compiled(&text).and_then(deciding) {
        Ok(tree) => Some(Cel::new(text, tree)),
        Err((problem, advice)) => {
            let text = format!("`{}` {problem}", item.path);
            item.fault(
                Problem::of(text, "the expression of `{}` is refused"),
                advice,
            );
            None
        }
    }
}

/// The tree of an expression that can be true or false.
fn deciding((tree, kind): (IdedExpr, CelKind)) -> Result<IdedExpr, Refusal> {
    match kind {
        CelKind::Any | CelKind::Bool => Ok(tree),
        CelKind::Number
        | CelKind::Text
        | CelKind::Bytes
        | CelKind::List
        | CelKind::Object
        | CelKind::Null
        | CelKind::Type
        | CelKind::Optional => Err((
            format!("gives {}, never true or false", kind.noun()),
            ADVICE.into(),
        )),
    }
}

fn compiled(text: &str) -> Result<(IdedExpr, CelKind), Refusal> {
    if text.len() > LENGTH_LIMIT {
        return Err((
            format!("is longer than {LENGTH_LIMIT} bytes"),
            ADVICE.into(),
        ));
    }
    if text.matches(['(', '[', '{']).count() > BRACKET_LIMIT {
        return Err((
            format!("has more than {BRACKET_LIMIT} brackets"),
            "Split it into several endpoints or conditions.".into(),
        ));
    }
    // A refused tree is dropped on that stack, too.
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new()
            .stack_size(PARSER_STACK)
            .spawn_scoped(scope, || parsed(text));
        match parser.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(("makes the parser panic".into(), ADVICE.into())),
            Err(why) => Err((
                format!("cannot be parsed: {why}"),
                "No thread can be started; check the limits of the service.".into(),
            )),
        }
    })
}

fn parsed(text: &str) -> Result<(IdedExpr, CelKind), Refusal> {
    let program = environment().compile(text).map_err(|error| {
        let first = error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        (
            format!("is not a valid CEL expression: {first}"),
            slip(text).unwrap_or(ADVICE).to_owned(),
        )
    })?;
    let size = measured(program.expression());
    if size.macros > 1 {
        let advice = "Its cost would grow with the square of the body; use one of all, exists, \
            exists_one, map, filter at a time.";
        return Err(("has a macro inside a macro".into(), advice.into()));
    }
    if size.depth > DEPTH_LIMIT {
        return Err((
            format!("nests {} operations, more than {DEPTH_LIMIT}", size.depth),
            "Split it into several endpoints or conditions.".into(),
        ));
    }
    if let Some(part) = repeated(program.expression()) {
        let advice = "Its cost would grow with the square of the body. Compare an element with \
            literals, with its own members, or with one member of `body` by == or <.";
        return Err((
            format!(
                "goes through the body again for each element: `{}`",
                written(part)
            ),
            advice.into(),
        ));
    }
    let made = made(program.expression());
    if made > MADE_LIMIT {
        let advice =
            "Let it give what is compared, or fewer values: a long body would fill the memory.";
        return Err((
            format!("makes {made} values of each element, more than {MADE_LIMIT}"),
            advice.into(),
        ));
    }
    let kind = kind(program.expression())?;
    Ok((rewritten(program.expression().clone()), kind))
}

/// What may have been meant by a text that is no CEL.
fn slip(text: &str) -> Option<&'static str> {
    let has_word = |word: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|w| w.eq_ignore_ascii_case(word))
    };
    let lone = text
        .as_bytes()
        .windows(3)
        .any(|w| w[1] == b'=' && !b"=!<>".contains(&w[0]) && w[2] != b'=');
    match () {
        () if lone => Some("Equality is `==`: \"body.status == 'ok'\"."),
        () if has_word("and") || has_word("or") || has_word("not") => {
            Some("Conditions are joined by `&&` and `||`; `!` is not.")
        }
        () => None,
    }
}

/// How deep a tree is, and how deep macros that walk a list are nested in it.
#[derive(Clone, Copy, Default)]
struct Size {
    depth: usize,
    macros: usize,
}

impl Size {
    fn or(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            macros: self.macros.max(other.macros),
        }
    }
}

fn measured(node: &IdedExpr) -> Size {
    let all = |nodes: &[&IdedExpr]| {
        nodes
            .iter()
            .fold(Size::default(), |size, n| size.or(measured(n)))
    };
    let below = match &node.expr {
        Expr::Comprehension(walk) => {
            let each = all(&[&walk.loop_cond, &walk.loop_step]);
            let once = all(&[&walk.iter_range, &walk.accu_init, &walk.result]);
            Size {
                macros: each.macros + 1,
                ..each
            }
            .or(once)
        }
        Expr::Unspecified
        | Expr::Ident(_)
        | Expr::Literal(_)
        | Expr::Call(_)
        | Expr::List(_)
        | Expr::Select(_)
        | Expr::Map(_)
        | Expr::Struct(_) => all(&parts(node)),
    };
    Size {
        depth: below.depth + 1,
        ..below
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cel::{Context, Value};

    fn refusal(text: &str) -> Option<String> {
        compiled(text).err().map(|(problem, _)| problem)
    }

    #[test]
    fn expressions_of_a_usual_size_are_taken() {
        for text in [
            "body.status == 'ok'",
            "body.items.filter(i, i.live).all(i, i.age < 60 && (i.kind == 'a' || i.kind == 'b'))",
            "size(body.list.map(x, x.size)) > 3 ? body.ok : !body.failed",
        ] {
            assert_eq!(refusal(text), None, "{text}");
        }
        let many = vec!["body.a == 1"; 60].join(" && ");
        assert_eq!(refusal(&many), None);
    }

    #[test]
    fn no_expression_exhausts_the_stack() {
        let around =
            |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
        let long = [
            around("(", ")", 499),
            around("[", "]", 100),
            around("size(", ")", 99),
            around("{'a':", "}", 99),
            around("(true ? ", " : 1)", 70),
            around("1 + ", "", 240),
            format!("body{}", "[0]".repeat(99)),
            format!("body{}", ".a".repeat(490)),
            format!("body{}", ".filter(x, x)".repeat(70)),
        ];
        for text in long {
            assert!(
                refusal(&text).is_some_and(|why| why.contains("brackets")
                    || why.contains("nests")
                    || why.contains("not a valid CEL")),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_as_deep_as_may_be_runs_on_a_small_stack() {
        let deep = DEPTH_LIMIT - 1;
        let texts = [
            format!("{}1{}", "[".repeat(deep), "]".repeat(deep)),
            format!("1{}", " + 1".repeat(deep)),
            format!("[[1]]{}", "[0]".repeat(deep - 2)),
            format!("{}body{}", "type(".repeat(deep), ")".repeat(deep)),
            format!("[1]{}", ".filter(x, true)".repeat(deep - 3)),
        ];
        for text in texts {
            let (tree, _) = compiled(&text).unwrap_or_else(|(why, _)| panic!("{text}: {why}"));
            let run = std::thread::Builder::new()
                .stack_size(2 << 20)
                .spawn(move || {
                    let mut context = Context::with_env(environment());
                    context.add_variable_from_value("body", Value::Null);
                    let _ = Value::resolve(&tree, &context);
                });
            run.expect("a thread").join().expect("no panic");
        }
    }

    #[test]
    fn quotes_and_comments_hide_no_macro() {
        let inner = "body.a.all(x, body.a.all(y, y == x))";
        for text in [
            inner.to_owned(),
            format!("'\\'' == '' || {inner}"),
            format!("'\''a'\'' == '' || {inner}"),
            format!("true // '\n&& {inner}"),
        ] {
            let why = refusal(&text).unwrap_or_default();
            assert!(
                why.contains("macro inside a macro") || why.contains("not a valid CEL"),
                "{text}: {why}"
            );
        }
    }

    #[test]
    fn an_expression_that_is_never_true_or_false_is_refused_and_slips_are_recognised() {
        let told = |text: &str| {
            compiled(text)
                .and_then(deciding)
                .map(|_| ())
                .expect_err(text)
        };
        for text in [
            "1 + 1",
            "size(body.items)",
            "'ok'",
            "[body.ok]",
            "null",
            "type(body)",
            "string(body.ok)",
            "body.items.filter(x, x.live)",
        ] {
            assert!(told(text).0.contains("never true or false"), "{text}");
        }
        assert!(told("body.status = 'ok'").1.contains("`==`"));
        assert!(told("body.a == 1 and body.b == 2").1.contains("`&&`"));
        assert!(told("body.a >= 1 )").1.contains("true or false"));
    }
}
