//! The icmp kind. Where the test may open no ICMP socket, the endpoint must be unknown with
//! `permission`: both are shown.

use probity::kind::run::ProbeReport;
use probity::net::echo::permitted;
use probity::words::{Phase, Reason};

use super::serve::*;

/// Whether echoes may be sent here. CI requires it, so that no run of it leaves out what needs
/// them.
pub fn is_permitted() -> bool {
    let is_permitted = permitted().is_ok();
    assert!(
        is_permitted || std::env::var("PROBITY_TEST_ICMP").as_deref() != Ok("required"),
        "ICMP is required here: run as root, or set net.ipv4.ping_group_range"
    );
    is_permitted
}

fn assert_up_or_forbidden(report: &ProbeReport, is_permitted: bool) {
    if is_permitted {
        assert_up(report);
    } else {
        assert_eq!(reason(report), Reason::Permission);
    }
}

#[tokio::test]
async fn an_echo_comes_back_or_the_reason_is_told() {
    let is_permitted = is_permitted();
    for address in ["127.0.0.1", "127.0.0.53", "::1"] {
        let report = probe(&format!("probe.icmp = \"{address}\"")).await;
        assert_up_or_forbidden(&report, is_permitted);
        assert_eq!(report.phases.us(Phase::FirstByte).is_some(), is_permitted);
        let hop_limit = report.outcome.facts().and_then(|f| f.icmp_hop_limit);
        assert_eq!(hop_limit, is_permitted.then_some(64), "{address}");
    }
}

#[tokio::test]
async fn a_hundred_echoes_at_once_find_their_own_probe() {
    let is_permitted = is_permitted();
    let reports = tokio::task::LocalSet::new()
        .run_until(async {
            let net = std::rc::Rc::new(probity::net::shared::Net::default());
            let mut tasks = tokio::task::JoinSet::new();
            for n in 0..100 {
                let endpoint = endpoint(&format!("probe.icmp = \"127.0.0.{}\"", n % 50 + 1));
                let net = net.clone();
                tasks.spawn_local(async move { probity::kind::run::run(&net, &endpoint).await });
            }
            tasks.join_all().await
        })
        .await;
    assert_eq!(reports.len(), 100);
    reports
        .iter()
        .for_each(|report| assert_up_or_forbidden(report, is_permitted));
}
