//! The operator's pages: choosing, ordering and paging of endpoints, and the page of each one.

use super::daemon::{Daemon, Switch};

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
