//! `probity sla explain` about the contracts of a config.

use super::cli::{checked, probity};
use super::daemon::write_config;

#[test]
fn the_contracts_of_a_config_are_explained_with_its_intervals_and_fees() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = write_config(
        directory.path(),
        1,
        "[component.shop]\n[[endpoint]]\nname = \"fast\"\ncomponent = \"shop\"\ninterval = \
            \"5s\"\nprobe.tcp = \"127.0.0.1:1\"\n[[endpoint]]\nname = \"slow\"\ncomponent = \
            \"shop\"\ninterval = \"2m\"\nprobe.tcp = \"127.0.0.1:1\"\n[[endpoint]]\nname = \
            \"other\"\ninterval = \"1h\"\nprobe.tcp = \"127.0.0.1:1\"\n[sla.gold]\nobjective = \
            \"99.95\"\ncomponents = [\"shop\"]\nfee = \"12000.00\"\ncurrency = \"EUR\"\ncredit = \
            { model = \"linear\", step = \"0.1\", per_step = \"5\", rounding = \"started\" \
            }\n[sla.free]\nobjective = \"99\"\ncomponents = [\"other\"]\ncredit = { model = \
            \"linear\", step = \"1\", per_step = \"10\", rounding = \"full\" }\n",
    );
    let config = config.to_str().expect("UTF-8");
    let shown = |args: &[&str]| {
        let output = probity(&[&["sla", "explain", "--config", config], args].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = shown(&[]);
    for part in [
        "gold: objective 99.95 %",
        "Probed every 2 m, as the slowest endpoint slow is:",
        "Credit: \"For each 0.1 missing points\" 5 % of a fee of 12000 EUR, in three roundings, \
            of which \"started\" is the contract's:",
        "free: objective 99 %",
        "Probed every 1 h, as the slowest endpoint other is:",
        "of a fee of 1000.00 (an example: the contract has no fee), in three roundings",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("Example:"), "{text}");
    let value = checked(shown(&["--sla", "gold", "--json"]).as_bytes());
    assert_eq!(
        (&value["interval_ms"], &value["slowest_endpoint"]),
        (&120_000.into(), &"slow".into())
    );
    let given = checked(shown(&["--sla", "gold", "--interval", "10s", "--json"]).as_bytes());
    assert_eq!(
        (&given["interval_ms"], &given["slowest_endpoint"]),
        (&10_000.into(), &serde_json::Value::Null)
    );
    // Without a contract it is an example.
    let text = shown(&["--objective", "99.9"]);
    assert!(
        text.contains("Probed every 30 s:")
            && text.contains("Example: \"For each missing percent\""),
        "{text}"
    );
    let output = probity(&["sla", "explain"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        error.contains("--config FILE, --contract FILE, or --objective"),
        "{error}"
    );
}
