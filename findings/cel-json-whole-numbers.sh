#!/bin/sh
# Package:   crate cel =0.15.0 (features: json, regex), with serde_json =1.0.154.
# Behaviour: a JSON value that is bound as a variable through serde keeps three kinds of numbers.
#            A positive whole number becomes uint, a negative one int, one with a point double.
#            Literals such as 1 are int, and CEL has no arithmetic between the kinds. "n + 1" is
#            an error for 5 and for 5.0, and a result for -5. "n == 5" is true for 5 and 5.0.
#            The CEL language definition converts every JSON number to double.
# Why it matters: an expression over JSON works in a test with one value and fails with the next.
# Seen:      {"n":-5} n + 1: -4
#            {"n":5} n + 1: error
#            {"n":5.0} n + 1: error
#            {"n":5} n + 1u: 6
#            {"n":5} n + 1.0: error
#            {"n":5.0} n + 1.0: 6.0
#            {"n":5} n == 5: true
#            {"n":5.0} n == 5: true
# Needs:     cargo.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
cel = { version = "=0.15.0", default-features = false, features = ["json", "regex"] }
serde_json = "=1.0.154"
END
cat > src/main.rs <<'END'
use cel::{Context, Program, Value};

fn main() {
    let cases = [
        ("-5", "n + 1"),
        ("5", "n + 1"),
        ("5.0", "n + 1"),
        ("5", "n + 1u"),
        ("5", "n + 1.0"),
        ("5.0", "n + 1.0"),
        ("5", "n == 5"),
        ("5.0", "n == 5"),
    ];
    for (number, expression) in cases {
        let json: serde_json::Value = serde_json::from_str(number).expect("JSON");
        let mut context = Context::default();
        context.add_variable("n", json).expect("a variable");
        let shown = match Program::compile(expression).expect("CEL").execute(&context) {
            Ok(Value::Int(n)) => format!("{n}"),
            Ok(Value::UInt(n)) => format!("{n}"),
            Ok(Value::Float(n)) => format!("{n:?}"),
            Ok(Value::Bool(b)) => format!("{b}"),
            Ok(_) => "another type".to_owned(),
            Err(_) => "error".to_owned(),
        };
        println!("{{\"n\":{number}}} {expression}: {shown}");
    }
}
END
CARGO_TARGET_DIR=$work/target cargo run -q | tee seen
cat > expected <<'END'
{"n":-5} n + 1: -4
{"n":5} n + 1: error
{"n":5.0} n + 1: error
{"n":5} n + 1u: 6
{"n":5} n + 1.0: error
{"n":5.0} n + 1.0: 6.0
{"n":5} n == 5: true
{"n":5.0} n == 5: true
END
diff expected seen
