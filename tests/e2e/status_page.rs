//! The public status page of a real daemon: what it shows, and what it never does.

use std::time::Duration;

use serde_json::Value;

use super::daemon::{Daemon, Switch};
use super::serve::{client, closed_port};
use super::waiting::until;

/// Of the config, and of nobody else's business.
const INTERNAL: [&str; 4] = [
    "hidden-endpoint",
    "hidden-label",
    "connect_refused",
    "127.0.0.1",
];
const PATHS: [&str; 16] = [
    "/",
    "/components/shop",
    "/components/mail",
    "/badge.svg",
    "/badge.json",
    "/badges/shop.svg",
    "/badges/shop.json",
    "/status.css",
    "/status.js",
    "/api/v2/summary.json",
    "/api/v2/status.json",
    "/api/v2/components.json",
    "/api/v2/incidents.json",
    "/api/v2/incidents/unresolved.json",
    "/api/v2/scheduled-maintenances.json",
    "/api/v2/scheduled-maintenances/upcoming.json",
];

fn head(page: u16) -> String {
    format!(
        "[defaults]\ninterval = \"1s\"\ntimeout = \"500ms\"\n[component.shop]\ntitle = \"Shop \
            <b>& co</b>\"\n[component.mail]\ntitle = \"Mail\"\n[component.secret-project]\n\
            [status_page]\nlisten = \"127.0.0.1:{page}\"\ntitle = \"Example & sons\"\n\
            components = [\"shop\", \"mail\"]\n"
    )
}

fn endpoint(component: &str, port: u16) -> String {
    format!(
        "[[endpoint]]\nname = \"hidden-endpoint-{component}\"\ncomponent = \"{component}\"\n\
            labels = {{ team = \"hidden-label\" }}\n\
            probe.tcp = \"127.0.0.1:{port}\"\n"
    )
}

async fn get(page: u16, path: &str) -> Option<reqwest::Response> {
    let address = format!("http://127.0.0.1:{page}{path}");
    client().get(address).send().await.ok()
}

async fn text(page: u16, path: &str) -> String {
    let response = get(page, path).await.expect("answered");
    assert_eq!(response.status(), 200, "{path}");
    response.text().await.expect("a body")
}

async fn json(page: u16, path: &str) -> Value {
    serde_json::from_str(&text(page, path).await).expect("JSON")
}

async fn until_page(page: u16, wanted: impl Fn(&str) -> bool) {
    let missing = || "the page never said so".to_owned();
    until(Duration::from_secs(40), missing, || async {
        match get(page, "/").await {
            Some(response) => wanted(&response.text().await.unwrap_or_default()),
            None => false,
        }
    })
    .await;
}

/// Until the present month of every component has a figure.
async fn until_judged(page: u16) {
    let missing = || "the month was never judged".to_owned();
    until(Duration::from_secs(40), missing, || async {
        let all = json(page, "/api/v2/components.json").await;
        let all = all["components"].as_array().expect("a list").clone();
        let percent = |c: &Value| c["probity"]["availability"][0]["shown"].clone();
        all.iter()
            .all(|c| percent(c).as_str().is_some_and(|t| t.ends_with(" %")))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_shows_components_with_the_figures_of_the_api_and_nothing_internal() {
    let (directory, up) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let page = closed_port();
    let in_three_days = probity::net::clock::Clock::Real.read().utc_ms + 3 * 86_400_000;
    let planned = &probity::words::format_utc(in_three_days)[..16];
    let config = head(page)
        + &endpoint("shop", 1)
        + &endpoint("mail", up.port)
        + &endpoint("secret-project", 1)
        + &format!(
            "[[maintenance]]\nid = \"hidden-label-move\"\ncomponents = [\"mail\"]\n\
                start = \"{planned}\"\nduration = \"2h\"\nreason = \"hidden-label\"\n"
        );
    let daemon = Daemon::start(directory.path(), &config).await;
    until_page(page, |text| {
        text.contains("1 of 2 components is down") && text.contains("has been down since")
    })
    .await;
    until_judged(page).await;
    let front = text(page, "/").await;
    assert!(
        front.contains("Shop &#60;b&#62;&#38; co&#60;/b&#62;"),
        "{front}"
    );
    assert!(
        front.find("Shop") < front.find(">Mail<"),
        "in the order of the config"
    );

    let summary = json(page, "/api/v2/summary.json").await;
    let shop = &summary["components"][0];
    let incident = &summary["incidents"][0];
    let said = [
        &summary["page"]["name"],
        &summary["status"]["indicator"],
        &shop["status"],
        &shop["probity"]["state"],
        &summary["components"][1]["status"],
        &incident["status"],
        &incident["incident_updates"][0]["affected_components"][0]["code"],
    ];
    let said = said.map(|v| v.as_str().unwrap_or_default());
    let expected = [
        "Example & sons",
        "major",
        "major_outage",
        "down",
        "operational",
        "investigating",
        "shop",
    ];
    assert_eq!(said, expected, "{summary}");
    assert_eq!(summary["components"].as_array().map(Vec::len), Some(2));
    let window = &summary["scheduled_maintenances"][0];
    assert_eq!(window["status"], "scheduled", "{summary}");
    assert_eq!(window["components"][0]["id"], "mail", "{summary}");
    let utc = format!("{} ", planned.replace('T', " "));
    assert!(front.contains(&utc), "{utc}: {front}");
    let badge = json(page, "/badges/shop.json").await;
    assert_eq!(
        (&badge["schemaVersion"], &badge["message"]),
        (&serde_json::json!(1), &serde_json::json!("down"))
    );
    assert!(
        text(page, "/badge.svg")
            .await
            .contains("<title>Example &#38; sons: down</title>")
    );

    // The same availability on the page, in its API, in the daemon's API and on /metrics.
    for (id, ratio) in [("shop", 0.0_f64), ("mail", 1.0)] {
        let path = format!("/api/v1/components?component={id}");
        let exact = daemon.json(&path).await["components"][0]["availability_percent"].clone();
        let exact: f64 = exact
            .as_str()
            .and_then(|t| t.parse().ok())
            .expect("a figure");
        assert_eq!(exact.to_bits(), (ratio * 100.0).to_bits());
        let series = format!(
            "probity_component_availability_ratio{{component=\"{id}\",period=\"current\"}}"
        );
        assert_eq!(
            daemon.metric(&series).await.to_bits(),
            ratio.to_bits(),
            "{series}"
        );
        let all = json(page, "/api/v2/components.json").await;
        let all = all["components"].as_array().expect("a list").clone();
        let of_it = all.iter().find(|c| c["id"] == id).expect("shown").clone();
        let shown = of_it["probity"]["availability"][0]["shown"].clone();
        let shown = shown.as_str().expect("a text").to_owned();
        assert_eq!(
            shown.trim_end_matches(" %").parse::<f64>().ok(),
            Some(ratio * 100.0)
        );
        let page_of_it = text(page, &format!("/components/{id}")).await;
        assert!(
            page_of_it.contains(&format!("<td>{shown}</td>")),
            "{page_of_it}"
        );
    }

    for path in PATHS {
        let response = get(page, path).await.expect("answered");
        assert_eq!(response.status(), 200, "{path}");
        let headers = format!("{:?}", response.headers());
        let body = response.text().await.expect("a body");
        for internal in INTERNAL.into_iter().chain(["secret-project"]) {
            assert!(
                !body.contains(internal) && !headers.contains(internal),
                "{path}: {internal}"
            );
        }
    }
    for path in [
        "/metrics",
        "/api/v1/endpoints",
        "/components/secret-project",
        "/badges/x.svg",
    ] {
        assert_eq!(
            get(page, path).await.expect("answered").status(),
            404,
            "{path}"
        );
    }
    assert_eq!(daemon.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_have_a_tag_a_policy_and_a_bounded_size() {
    let (directory, up) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let page = closed_port();
    let mut config =
        format!("[defaults]\ninterval = \"1s\"\n[status_page]\nlisten = \"127.0.0.1:{page}\"\n");
    for n in 0..30 {
        // One in ten is down.
        let port = if n % 10 == 0 { 1 } else { up.port };
        config += &format!(
            "[component.c{n}]\ntitle = \"Component number {n}\"\n[[endpoint]]\nname = \"e{n}\"\n\
                component = \"c{n}\"\nprobe.tcp = \"127.0.0.1:{port}\"\n"
        );
    }
    let daemon = Daemon::start(directory.path(), &config).await;
    until_page(page, |text| {
        text.contains("3 of 30 components are down")
            && text.matches("has been down since").count() == 3
    })
    .await;
    let front = text(page, "/").await;
    assert!(front.len() <= 30 << 10, "{} bytes", front.len());

    let response = get(page, "/").await.expect("answered");
    let of = |response: &reqwest::Response, name: &str| {
        let value = response.headers().get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    assert!(of(&response, "content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(of(&response, "x-content-type-options"), "nosniff");
    assert_eq!(of(&response, "cache-control"), "public, max-age=5");
    // Until one is the same as the one before: then what is kept did not change in between.
    let not_modified = async || {
        let tag = of(&get(page, "/").await?, "etag");
        let again = client().get(format!("http://127.0.0.1:{page}/"));
        let again = again.header("if-none-match", tag).send().await.ok()?;
        Some(again.status().as_u16())
    };
    let missing = || "the tag never holds".to_owned();
    until(Duration::from_secs(20), missing, || async {
        not_modified().await == Some(304)
    })
    .await;
    let gzip = client().get(format!("http://127.0.0.1:{page}/"));
    let gzip = gzip
        .header("accept-encoding", "gzip")
        .send()
        .await
        .expect("answered");
    assert_eq!(of(&gzip, "content-encoding"), "gzip");
    let packed = gzip.bytes().await.expect("a body");
    assert!(packed.len() * 3 < front.len(), "{} bytes", packed.len());
    // A proxy in front of it has a name of its own.
    let host = client()
        .get(format!("http://127.0.0.1:{page}/"))
        .header("host", "status.example");
    assert_eq!(host.send().await.expect("answered").status(), 200);
    assert_eq!(daemon.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_stops_no_probe_and_a_reload_shows_at_once() {
    let (directory, up) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let page = holder.local_addr().expect("an address").port();
    let endpoints = endpoint("shop", up.port) + &endpoint("mail", up.port);
    let config = head(page) + &endpoints;
    let daemon = Daemon::start(directory.path(), &config).await;
    daemon.until_state("hidden-endpoint-shop", "up").await;
    assert!(
        daemon.log().contains("the status page cannot listen"),
        "{}",
        daemon.log()
    );
    drop(holder);
    until_page(page, |text| text.contains("All 2 components are up")).await;

    let other = config
        .replace("Example & sons", "Another title")
        .replace(", \"mail\"]", "]");
    super::daemon::write_config(directory.path(), daemon.port, &other);
    daemon.reload().await.expect("reloaded");
    let front = text(page, "/").await;
    assert!(
        front.contains("Another title") && !front.contains(">Mail<"),
        "{front}"
    );
    let without = other
        .split("[status_page]")
        .next()
        .expect("a part")
        .to_owned()
        + &endpoints;
    super::daemon::write_config(directory.path(), daemon.port, &without);
    daemon.reload().await.expect("reloaded");
    assert_eq!(get(page, "/").await.expect("answered").status(), 503);
    assert!(
        daemon.log().contains("[status_page] listen has changed"),
        "{}",
        daemon.log()
    );
    assert_eq!(daemon.end().await.0, 0);
}
