//! The operator's pages: choosing, ordering and paging of endpoints, and the page of each one.

use super::daemon::{Daemon, Switch};
use super::serve::client;

/// The names in the rows of the first page, in their order.
fn names(page: &str) -> Vec<&str> {
    let rows = page.split("<table class=\"fleet\">").nth(1).unwrap_or("");
    let rows = rows.split("</table>").next().unwrap_or("");
    rows.split("<th scope=\"row\"><a href=\"")
        .skip(1)
        .filter_map(|row| row.split("\">").nth(1)?.split("</a>").next())
        .collect()
}

async fn fleet(directory: &std::path::Path, port: u16) -> Daemon {
    let mut text = String::from(
        "[defaults]\ninterval = \"1s\"\ntimeout = \"500ms\"\n[component.shop]\ntitle = \"Shop\"\n",
    );
    for n in 0..120 {
        let (team, component) = match n % 2 {
            0 => ("red", ""),
            _ => ("blue", "component = \"shop\"\n"),
        };
        text += &format!(
            "[[endpoint]]\nname = \"e{n:03}\"\n{component}labels = {{ team = \"{team}\" }}\n\
                probe.tcp = \"127.0.0.1:{port}\"\n"
        );
    }
    text += "[[endpoint]]\nname = \"a/b ?\"\nprobe.tcp = \"127.0.0.1:1\"\n";
    Daemon::start(directory, &text).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_are_chosen_ordered_and_paged_by_the_address() {
    let (directory, server) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let daemon = fleet(directory.path(), server.port).await;
    daemon.until_state("a/b ?", "down").await;
    daemon.until_state("e119", "up").await;
    let page = async |query: &str| daemon.get(&format!("/{query}")).await.expect("a page");

    let first = page("").await;
    assert_eq!(names(&first).len(), 100);
    assert_eq!(names(&first)[0], "a/b ?", "what is down comes first");
    assert!(first.contains("1 to 100 of 121"), "{first}");
    assert!(
        first.contains("<a href=\"/?page=1\" rel=\"next\">"),
        "{first}"
    );
    let second = page("?page=1").await;
    assert_eq!(names(&second).len(), 21);
    assert!(second.contains("rel=\"prev\"") && !second.contains("rel=\"next\""));

    let named = page("?q=E11&sort=name").await;
    let expected: Vec<String> = (110..120).map(|n| format!("e{n}")).collect();
    assert_eq!(names(&named), expected);
    let red = page("?label=team%3Dred&sort=name&q=00").await;
    assert_eq!(
        names(&red),
        ["e000", "e002", "e004", "e006", "e008", "e100"]
    );
    // Each component of its own comes under its name: e000, e002 and so on, and then "shop".
    let by_component = page("?sort=component&q=e0").await;
    let expected: Vec<String> = (0..100)
        .step_by(2)
        .chain((1..100).step_by(2))
        .map(|n| format!("e{n:03}"))
        .collect();
    assert_eq!(names(&by_component), expected);
    let by_name = page("?sort=name&page=1").await;
    assert_eq!(names(&by_name).last(), Some(&"e119"), "{by_name}");
    let beyond = page("?q=E11&sort=name&page=7").await;
    assert_eq!(
        names(&beyond).len(),
        10,
        "a page beyond the end is the last one"
    );
    let down = page("?state=down").await;
    assert_eq!(names(&down), ["a/b ?"]);
    let none = page("?q=nothing-of-the-kind").await;
    assert!(none.contains("None of 121 endpoints matches."), "{none}");
    assert_eq!(daemon.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_has_a_page_whatever_its_name_is() {
    let (directory, server) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let daemon = fleet(directory.path(), server.port).await;
    daemon.until_state("a/b ?", "down").await;
    let overview = daemon.get("/").await.expect("a page");
    assert!(
        overview.contains("<a href=\"/endpoints/a%2Fb%20%3F\">a/b ?</a>"),
        "{overview}"
    );
    let page = daemon
        .get("/endpoints/a%2Fb%20%3F?span=month")
        .await
        .expect("a page");
    assert!(page.contains("a/b ? is down"), "{page}");
    assert!(page.contains("probity probe &#39;a/b ?&#39;"), "{page}");
    assert!(
        page.contains("?span=month\" aria-current=\"page\">last 30 days"),
        "{page}"
    );
    let unknown = daemon.get("/endpoints/other").await;
    assert_eq!(
        unknown.as_deref(),
        Some("no endpoint of that name is in service; / lists those that are\n")
    );
    let wrong = daemon.get("/endpoints/e001?span=week").await;
    assert_eq!(
        wrong.as_deref(),
        Some("span: unknown value `week`; allowed: hour, day, month, quarter, year\n")
    );
    assert_eq!(daemon.end().await.0, 0);
}

/// A component with an endpoint of a series that is down, one that only has endpoints that are up,
/// and one that keeps up with one of two.
const COMPONENTS: &str = "[component.broken]\ntitle = \"Broken\"\n[component.whole]\n\
    [component.spare]\ncombine = \"parallel\"\n[sla.gold]\nobjective = \"50\"\ncomponents = \
    [\"broken\", \"whole\"]\n[defaults]\ninterval = \"1s\"\ntimeout = \"500ms\"\n";

/// The row of a component: state, today, 30 days, month, endpoints.
fn component_row(page: &str, name: &str) -> Option<[String; 5]> {
    let table = page.split("<table class=\"fleet components\">").nth(1)?;
    let table = table.split("</table>").next()?;
    let row = table
        .split(&format!("<a href=\"/?component={name}\">"))
        .nth(1)?;
    let cells: Vec<&str> = row.split("</tr>").next()?.split("<td ").collect();
    let text = |cell: &str| {
        let inner = cell.split_once('>').map_or("", |(_, rest)| rest);
        let plain = inner.split("<span class=\"soft").next().unwrap_or("");
        let plain = plain.replace("</span>", "").replace("</td>", "");
        plain.rsplit('>').next().unwrap_or("").trim().to_owned()
    };
    Some([1, 3, 4, 5, 8].map(|k| cells.get(k).map_or(String::new(), |cell| text(cell))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_have_rows_with_the_figures_of_api_and_metrics() {
    let (directory, server) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let mut text = COMPONENTS.to_owned();
    for (name, component, port) in [
        ("a", "broken", 1),
        ("b", "broken", server.port),
        ("c", "whole", server.port),
        ("d", "spare", server.port),
        ("e", "spare", 1),
    ] {
        text += &format!(
            "[[endpoint]]\nname = \"{name}\"\ncomponent = \"{component}\"\n\
                probe.tcp = \"127.0.0.1:{port}\"\n"
        );
    }
    let daemon = Daemon::start(directory.path(), &text).await;
    let page = async |query: &str| daemon.get(&format!("/{query}")).await.expect("a page");
    let expected = [
        ("broken", ["down", "0 %", "2 endpoints, 1 down"]),
        ("whole", ["up", "100 %", "1 endpoint"]),
        ("spare", ["up", "100 %", "2 endpoints, 1 down"]),
    ];
    // Until its outage is settled, and the daemon has judged it: all of them are measured then.
    let shown = |page: &str, name: &str| {
        component_row(page, name).map(|[state, today, thirty, month, endpoints]| {
            (state, [today, thirty, month], endpoints)
        })
    };
    daemon
        .until(|_| async {
            let page = page("").await;
            expected.iter().all(|(name, [state, percent, endpoints])| {
                // A day or a month may have begun just now: its figure is then not there yet.
                shown(&page, name).is_some_and(|(s, figures, e)| {
                    let is_same = |figure: &String| {
                        let digits = |text: &str| text.trim_end_matches(" %").parse::<f64>().ok();
                        digits(figure).is_some() && digits(figure) == digits(percent)
                    };
                    s == *state && e == *endpoints && figures.iter().all(is_same)
                })
            })
        })
        .await;
    for (name, ratio) in [("broken", 0.0), ("whole", 1.0), ("spare", 1.0)] {
        let path = format!("/api/v1/components?component={name}");
        let current = daemon.json(&path).await["components"][0].clone();
        let percent = current["availability_percent"].as_str().map(str::to_owned);
        let percent = percent.and_then(|text| text.parse::<f64>().ok());
        assert_eq!(percent, Some(ratio * 100.0), "{current}");
        let series = format!(
            "probity_component_availability_ratio{{component=\"{name}\",period=\"current\"}}"
        );
        assert_eq!(
            daemon.metric(&series).await.to_bits(),
            ratio.to_bits(),
            "{series}"
        );
    }
    let all = page("").await;
    assert_eq!(all.matches("<a href=\"/?component=").count(), 3);
    assert!(
        all.find(">Broken</a>") < all.find(">whole</a>"),
        "what is down comes first: {all}"
    );
    // Of what is left of the month, the outage is less than half.
    assert!(all.contains("of 50 %"), "{all}");
    let down = page("?state=down").await;
    assert_eq!(down.matches("<a href=\"/?component=").count(), 1, "{down}");
    let one = page("?component=spare&sort=name").await;
    assert_eq!(names(&one), ["d", "e"], "{one}");
    assert!(
        one.contains("<input name=\"component\" value=\"spare\">"),
        "{one}"
    );
    assert_eq!(one.matches("<a href=\"/?component=").count(), 0);
    let contracts = page("contracts").await;
    for label in [
        "gold",
        "<svg class=\"burn\"",
        "until",
        "an even use would have left",
    ] {
        assert!(contracts.contains(label), "{label}: {contracts}");
    }
    assert_eq!(daemon.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_sent_as_gzip_to_who_accepts_it() {
    let (directory, server) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let daemon = fleet(directory.path(), server.port).await;
    let url = format!("http://127.0.0.1:{}/", daemon.port);
    let asked = client().get(&url).header("accept-encoding", "br, gzip");
    let answer = asked.send().await.expect("answered");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.headers()["vary"], "accept-encoding");
    let packed = answer.bytes().await.expect("a body");
    let mut page = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
    std::io::Read::read_to_string(&mut decoder, &mut page).expect("gzip of a text");
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"),
        "{page}"
    );
    assert!(
        packed.len() * 4 < page.len(),
        "{} of {}",
        packed.len(),
        page.len()
    );
    let plain = client().get(&url).send().await.expect("answered");
    assert!(plain.headers().get("content-encoding").is_none());
    assert!(plain.text().await.expect("a text").ends_with("</html>"));
    assert_eq!(daemon.end().await.0, 0);
}
