//! `/runbook`: docs/runbook.md as a page, for the links of alerts. It knows as much of Markdown as
//! that file uses.

use std::fmt::Write;

const TEXT: &str = include_str!("../../docs/runbook.md");

/// The page; a heading of the second level is an anchor by its name in lower case.
pub(super) fn page() -> String {
    let mut out = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Probity: \
            runbook</title><link rel=\"stylesheet\" href=\"/page.css\"></head><body><main>",
    );
    for block in TEXT.split("\n\n").map(str::trim).filter(|b| !b.is_empty()) {
        if let Some(title) = block.strip_prefix("## ") {
            let _ = write!(
                out,
                "<h2 id=\"{}\">{}</h2>",
                title.to_lowercase(),
                inline(title)
            );
        } else if let Some(title) = block.strip_prefix("# ") {
            let _ = write!(out, "<h1>{}</h1>", inline(title));
        } else if block.starts_with("1. ") {
            // The lines of one step are indented.
            let steps = block.replace("\n   ", " ");
            let items = steps
                .lines()
                .filter_map(|line| line.split_once(". "))
                .map(|(_, text)| format!("<li>{}</li>", inline(text)));
            let _ = write!(out, "<ol>{}</ol>", items.collect::<String>());
        } else {
            let _ = write!(out, "<p>{}</p>", inline(block));
        }
    }
    out.push_str("</main></body></html>");
    out
}

/// Code in backticks; a link to another page of the docs is its text.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (k, part) in text.split('`').enumerate() {
        let safe = part
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        match k % 2 {
            0 => {
                let mut rest = safe.as_str();
                while let Some((before, after)) = rest.split_once('[')
                    && let Some((label, after)) = after.split_once("](")
                    && let Some((_, after)) = after.split_once(')')
                {
                    out.push_str(before);
                    out.push_str(label);
                    rest = after;
                }
                out.push_str(rest);
            }
            _ => {
                let _ = write!(out, "<code>{safe}</code>");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OneText;
    use crate::config::Plan;
    use crate::serve::rules::{OWN_RUNBOOK, rules};
    use std::path::Path;

    fn plan() -> Plan {
        // A quick endpoint and a loose objective: every kind of burn-rate alert is emitted.
        let text = OneText(
            "[[endpoint]]\nname = \"quick\"\ninterval = \"1s\"\ntimeout = \"500ms\"\nprobe.tcp \
                = \"127.0.0.1:1\"\n[sla.two]\nobjective = \"99\"\ncomponents = [\"quick\"]\n",
        );
        crate::config::load(Path::new("one"), &text).expect("valid")
    }

    #[test]
    fn every_alert_has_its_texts_and_a_section_in_the_runbook() {
        let written = rules(&plan(), 0, OWN_RUNBOOK).rules;
        let page = page();
        assert!(
            page.contains("each phase and each expectation with the value found.</li>"),
            "a step of two lines is one item"
        );
        let alerts: Vec<&str> = written.split("  - alert: ").skip(1).collect();
        assert_eq!(alerts.len(), 13, "{written}");
        for alert in alerts {
            let name = alert.lines().next().expect("a name");
            let own = alert.split("  - ").next().expect("a rule");
            for key in [
                "severity: ",
                "summary: \"",
                "description: \"",
                "runbook_url: \"http://",
            ] {
                assert!(own.contains(key), "{name} without {key}");
            }
            assert!(
                own.contains(&format!("/runbook#{}\"", name.to_lowercase())),
                "{own}"
            );
            assert!(
                page.contains(&format!("<h2 id=\"{}\">", name.to_lowercase())),
                "no section of {name}"
            );
        }
        let elsewhere = rules(&plan(), 0, "https://wiki.example/probity").rules;
        assert_eq!(
            elsewhere
                .matches("runbook_url: \"https://wiki.example/probity#probity")
                .count(),
            13
        );
    }

    #[test]
    fn the_page_is_markup_and_nothing_of_markdown_is_left() {
        let page = page();
        for left in ["](", "`", "## ", "\n1. "] {
            assert!(!page.contains(left), "{left:?} is left");
        }
        assert!(page.contains("<code>probity probe NAME</code>") && page.contains("<ol><li>"));
    }
}
