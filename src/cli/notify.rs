//! `probity notify test`: one message to one receiver, now.

use serde_json::json;

use super::args::NotifyCommand;
use super::print;
use crate::config::document::source::show_faults;
use crate::daemon::exit::Exit;
use crate::daemon::start::read_config;
use crate::daemon::streams::say_error;
use crate::net::authorities::Authorities;
use crate::net::clock::Clock;
use crate::net::own_calls::OwnCalls;
use crate::net::own_thread::CallPlaces;
use crate::notify::send;
use crate::words::format_utc;

pub fn run(command: &NotifyCommand) -> Exit {
    let NotifyCommand::Test { name, config, json } = command;
    let plan = match read_config(&config.path()) {
        Ok(plan) => plan,
        Err(faults) => {
            say_error(show_faults(&faults));
            return Exit::Config;
        }
    };
    let Some(receiver) = plan.notify.iter().find(|n| n.name.as_str() == name) else {
        let known: Vec<&str> = plan.notify.iter().map(|n| n.name.as_str()).collect();
        say_error(format_args!(
            "probity: the config has no [[notify]] named {name}; it has: {}",
            if known.is_empty() {
                "none".into()
            } else {
                known.join(", ")
            }
        ));
        return Exit::Usage;
    };
    let body = json!({
        "schema": "probity-notification/2", "endpoint": null, "component": null, "state": "test",
        "since": format_utc(Clock::Real.read().utc_ms),
        "detail": format!("a test from {}", plan.daemon.vantage),
    });
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Exit::Bad;
    };
    let result = runtime.block_on(async {
        let place = CallPlaces::new(1)
            .take()
            .expect("one place, and no other call");
        let own_calls = OwnCalls::new(Authorities::of_the_system());
        send(&own_calls, place, plan.proxies, receiver, body.to_string())
            .await
            .map_err(|undelivered| undelivered.why)
    });
    let value = json!({
        "schema": "probity-notify-test/1", "receiver": name, "delivered": result.is_ok(),
        "why": result.as_ref().err(),
    });
    print(*json, &value, || match &result {
        Ok(()) => format!("delivered to {name}\n"),
        Err(why) => format!("not delivered to {name}: {why}\n"),
    });
    if result.is_ok() {
        Exit::Fine
    } else {
        Exit::Bad
    }
}
