//! An endpoint of the config as the history registers it.

use crate::config::plan::Endpoint;
use crate::history::Registration;

/// What the history knows of an endpoint.
pub fn registration(e: &Endpoint) -> Registration {
    Registration {
        name: e.name.clone(),
        renamed_from: e.renamed_from.clone(),
        component: e.component.clone(),
        kind: e.probe.kind().as_str(),
        target: e.target(),
        digest: e.digest,
    }
}
