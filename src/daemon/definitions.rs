//! What a config says that figures rest on, as the history is told of it.

use crate::config::{Plan, print};
use crate::engine::recorder::definitions::{Definitions, witnesses_of};
use crate::history::chain::{hex, sha256};
use crate::history::checkpoint::TermsKey;
use crate::history::event::{ComponentDefinition, LimitsEvent};
use crate::judgement::sla::calendar::day_of;
use crate::judgement::sla::contract::Contract;
use crate::report::terms::terms_of_all;
use crate::words::{Name, UtcMs};

/// The definitions of a plan, as of today. Terms are committed to with a key that whoever signs
/// reports has as well.
pub fn definitions(plan: &Plan, key: &TermsKey, now: UtcMs) -> Definitions {
    let components = plan.components.iter().map(|(id, c)| {
        (
            id.to_string(),
            ComponentDefinition {
                combine: c.combine,
                in_service_from: c.in_service_from,
            },
        )
    });
    let all = terms_of_all(&plan.contracts);
    let mut text = String::new();
    print::contract::contracts(&mut text, &plan.contracts);
    // A version that is not in force yet judges no period that has begun: it is no other terms of a
    // report until then.
    let is_in_force = |contract: &Contract| {
        contract
            .valid_from
            .is_none_or(|from| from <= day_of(now, &contract.zone))
    };
    let in_force = all.iter().filter(|(contract, ..)| is_in_force(contract));
    let identities = in_force.map(|(contract, tenant, text)| {
        (
            key.commitment(text),
            key.identity(contract.name.as_str(), tenant.map(Name::as_str)),
        )
    });
    Definitions {
        // Contracts are committed to by themselves: whoever has an old config could try fees
        // against a hash of all.
        config: hex(&sha256(print::but_contracts(plan).as_bytes())),
        terms: all.iter().map(|(.., text)| key.commitment(text)).collect(),
        identities: identities.collect(),
        encrypted_terms: key.encrypt(&text),
        components: components.collect(),
        witnesses: Some(witnesses_of(&plan.witness)),
        limits: Some(LimitsEvent {
            max_in_flight: plan.daemon.max_in_flight.map(|n| n as u64),
            max_in_flight_per_host: plan.daemon.max_in_flight_per_host.map(|n| n as u64),
        }),
    }
}
