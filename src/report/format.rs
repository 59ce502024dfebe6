//! The formats of a report. A new one is a file with a function of a report, and a variant here.

use super::object::ContractReport;
use super::words::Language;
use super::{csv, html, markdown};

// Without words of their own: the help of `--format` says what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    Json,
    Md,
    Html,
    Csv,
}

impl ReportFormat {
    /// A whole document.
    pub fn render(self, report: &ContractReport, language: Language) -> String {
        match self {
            ReportFormat::Json => format!("{}\n", report.to_json()),
            ReportFormat::Md => markdown::markdown(report, language),
            ReportFormat::Html => html::html(report, language),
            ReportFormat::Csv => csv::csv(report),
        }
    }

    /// What a file of it is called at its end.
    pub fn extension(self) -> &'static str {
        match self {
            ReportFormat::Json => "json",
            ReportFormat::Md => "md",
            ReportFormat::Html => "html",
            ReportFormat::Csv => "csv",
        }
    }
}
