//! What a config says that figures rest on, as the history is told of it.

use serde_json::json;

use crate::config::{Plan, print, print_contract};
use crate::engine::recorder::definitions::Definitions;
use crate::expose::report::combine_text;
use crate::expose::report::terms::terms_of_all;
use crate::outward::history::chain::{hex, sha256};
use crate::outward::history::checkpoint::TermsKey;
use crate::words::Name;

/// The definitions of a plan. Terms are committed to with a key that whoever signs reports has as well.
pub fn definitions(plan: &Plan, key: &TermsKey) -> Definitions {
    let components =
        plan.components.iter().map(|(id, c)| (id.to_string(), json!({"combine": combine_text(c.combine), "in_service_from_ms": c.in_service_from})));
    let all = terms_of_all(&plan.contracts);
    let mut text = String::new();
    print_contract::contracts(&mut text, &plan.contracts);
    Definitions {
        // Contracts are committed to by themselves: whoever has an old config could try fees against a hash of all.
        config: hex(&sha256(print::but_contracts(plan).as_bytes())),
        terms: all.iter().map(|(.., text)| key.commitment(text)).collect(),
        identities: all.iter().map(|(sla, tenant, text)| (key.commitment(text), key.identity(sla.as_str(), tenant.as_ref().map(Name::as_str)))).collect(),
        sealed: key.seal(&text),
        components: components.collect(),
    }
}
