//! What anybody is told of a config that was refused holds nothing that the config says: a test
//! plants markers in every value of the example.

use super::load;
use super::tests::with_the_examples_files;

const EXAMPLE: &str = include_str!("../../../config/example.toml");
const WORD: &str = "hunter2";
const NUMBER: &str = "77777";

/// Where the values of a line are: texts with their quotes, numbers and words.
fn values(line: &str) -> Vec<std::ops::Range<usize>> {
    let (mut found, mut at) = (Vec::new(), line.find('=').map_or(line.len(), |at| at + 1));
    while let Some(c) = line[at..].chars().next() {
        let rest = &line[at..];
        let length = match c {
            '#' => return found,
            '"' | '\'' => 2 + rest[1..].find(c).expect("closed"),
            _ if c.is_ascii_digit() => rest.find([',', ' ', ']', '}']).unwrap_or(rest.len()),
            _ => {
                at += c.len_utf8();
                continue;
            }
        };
        found.push(at..at + length);
        at += length;
    }
    found
}

/// What is written in place of a value.
fn planted(value: &str) -> Vec<String> {
    let bare = value.trim_matches(['"', '\'']).replace('\'', "");
    let long = format!("{bare}{WORD}\"{}", WORD.repeat(70));
    vec![
        format!("'{WORD} \" `x`'"),
        format!("'{bare}{WORD}'"),
        format!("'{WORD}: {bare}'"),
        format!("'{long}'"),
        format!("1.{NUMBER}"),
        format!("-{NUMBER}"),
        format!("'{NUMBER}999ms'"),
        format!("['{WORD}', '{WORD}']"),
        format!("{{ {WORD} = '{WORD}' }}"),
    ]
}

/// Values that lie apart are planted at once, so that no fault hides another.
const APART: usize = 17;

#[test]
fn no_value_of_a_refused_config_is_in_what_anybody_is_told() {
    let (mut all, mut start) = (Vec::new(), 0);
    for line in EXAMPLE.split_inclusive('\n') {
        let found = values(line).into_iter();
        all.extend(found.map(|value| start + value.start..start + value.end));
        start += line.len();
    }
    let (mut told, mut kinds) = (0, std::collections::BTreeSet::new());
    for marker in 0..planted("").len() {
        for first in 0..APART {
            let mut text = EXAMPLE.to_owned();
            for value in all.iter().skip(first).step_by(APART).rev() {
                let planted = planted(&EXAMPLE[value.clone()]).swap_remove(marker);
                text.replace_range(value.clone(), &planted);
            }
            let Err(faults) = load("t".as_ref(), &with_the_examples_files("t", &text)) else {
                continue;
            };
            for fault in faults {
                let public = fault.without_quotes();
                let holds = public.contains(WORD) || public.contains(NUMBER);
                assert!(!holds, "{public}\n{}", fault.problem);
                assert!(
                    fault.kind.contains(char::is_alphabetic),
                    "{}",
                    fault.problem
                );
                told += 1;
                kinds.insert(fault.kind);
            }
        }
    }
    assert!(
        told > 1000 && kinds.len() > 50,
        "{told} faults of {} kinds",
        kinds.len()
    );
}
