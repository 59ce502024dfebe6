//! Badges: the state of a component, or of all, as a small SVG and as the JSON of shields.io
//! (<https://shields.io/badges/endpoint-badge>).

use askama::Template;
use serde_json::{Value, json};

use super::published::{PublicComponent, PublicStatus};
use crate::words::StateName;

/// Of a letter, as wide as they are on average in the font.
const LETTER: usize = 7;

#[derive(Template)]
#[template(path = "status_page/badge.svg", escape = "html")]
struct Svg<'b> {
    label: &'b str,
    message: &'b str,
    colour: &'static str,
    /// Of the left part, of the right one, and of both.
    left: usize,
    right: usize,
    all: usize,
    middle: [usize; 2],
}

/// What a badge says.
pub struct Badge {
    label: String,
    message: &'static str,
    state: StateName,
}

impl Badge {
    pub fn of(component: &PublicComponent) -> Self {
        Self {
            label: component.title.clone(),
            message: component.word(),
            state: component.state,
        }
    }

    pub fn of_all(status: &PublicStatus) -> Self {
        let state = status.worst();
        Self {
            label: status.title.clone(),
            message: match state {
                StateName::Up => "all up",
                StateName::Down => "down",
                StateName::Unknown => "unknown",
            },
            state,
        }
    }

    pub fn svg(&self) -> String {
        let width = |text: &str| text.chars().count() * LETTER + 12;
        let (left, right) = (width(&self.label), width(self.message));
        let svg = Svg {
            label: &self.label,
            message: self.message,
            colour: match self.state {
                StateName::Up => "#1a7f37",
                StateName::Down => "#cf222e",
                StateName::Unknown => "#6e7781",
            },
            left,
            right,
            all: left + right,
            middle: [left / 2, left + right / 2],
        };
        svg.render().unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        let color = match self.state {
            StateName::Up => "success",
            StateName::Down => "critical",
            StateName::Unknown => "inactive",
        };
        json!({"schemaVersion": 1, "label": self.label, "message": self.message, "color": color})
    }
}
