//! A report as Markdown.

use std::fmt::Write;

use super::blocks::{Block, LocalizedReport};
use super::object::ContractReport;
use super::words::Language;

/// Markdown; what would be markup in it is escaped.
pub fn markdown(report: &ContractReport, language: Language) -> String {
    let mut out = String::new();
    for (k, block) in (LocalizedReport { report, language })
        .blocks()
        .iter()
        .enumerate()
    {
        let level = if k == 0 { "#" } else { "##" };
        let _ = writeln!(out, "{level} {}\n", escaped(&block.heading));
        for line in &block.lines {
            let _ = writeln!(out, "{}\n", escaped(line));
        }
        if !block.header.is_empty() {
            table(&mut out, block);
        }
    }
    out
}

fn table(out: &mut String, block: &Block) {
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|c| escaped(c)).collect();
        format!("| {} |", cells.join(" | "))
    };
    let line = "---|".repeat(block.header.len());
    let _ = writeln!(out, "{}\n|{line}", row(&block.header));
    for cells in &block.rows {
        let _ = writeln!(out, "{}", row(cells));
    }
    out.push('\n');
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
