//! The icmp kind. Where the test may open no ICMP socket, the endpoint must be unknown with `permission`: both are shown.

use probity::outward::probe::icmp::permitted;
use probity::words::{Phase, Reason};

use super::serve::*;

#[tokio::test]
async fn an_echo_comes_back_or_the_reason_is_told() {
    for address in ["127.0.0.1", "127.0.0.53", "::1"] {
        let report = probe(&format!("probe.icmp = \"{address}\"")).await;
        if permitted().is_ok() {
            assert_up(&report);
            assert!(report.phases.us(Phase::FirstByte).is_some());
            assert!(report.outcome.facts().is_some_and(|f| f.icmp_hop_limit == Some(64)), "{address}");
        } else {
            assert_eq!(reason(&report), Reason::Permission);
        }
    }
}

#[tokio::test]
async fn a_hundred_echoes_at_once_find_their_own_probe() {
    if permitted().is_err() {
        assert_eq!(reason(&probe("probe.icmp = \"127.0.0.1\"").await), Reason::Permission);
        return;
    }
    let reports = tokio::task::LocalSet::new()
        .run_until(async {
            let net = std::rc::Rc::new(probity::outward::net::Net::default());
            let mut tasks = tokio::task::JoinSet::new();
            for n in 0..100 {
                let endpoint = endpoint(&format!("probe.icmp = \"127.0.0.{}\"", n % 50 + 1));
                let net = net.clone();
                tasks.spawn_local(async move { probity::outward::probe::run(&net, &endpoint).await });
            }
            tasks.join_all().await
        })
        .await;
    assert_eq!(reports.len(), 100);
    reports.iter().for_each(assert_up);
}
