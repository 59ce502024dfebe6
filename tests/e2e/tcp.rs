//! The tcp kind: connections and dialogues.

use probity::words::Cause;
use tokio::io::AsyncWriteExt;

use super::serve::*;

fn at(port: u16, more: &str) -> String {
    format!("probe.tcp.address = \"127.0.0.1:{port}\"\n{more}")
}

#[tokio::test]
async fn a_port_that_takes_connections_is_up_even_if_it_closes_them() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    assert_up(&probe(&at(port, "")).await);
    assert_eq!(cause(&probe(&at(closed_port(), "")).await), Cause::ConnectRefused);
}

#[tokio::test]
async fn a_dialogue_is_held_line_by_line() {
    let smtp = || {
        tcp(|mut stream| async move {
            let _ = stream.write_all(b"220-first line\r\n220 mail.example ESMTP\r\n").await;
            read_head(&mut stream).await;
            let _ = stream.write_all(b"221 bye\r\n").await;
        })
    };
    let dialogue = "probe.tcp.dialogue = [{ expect = \"^220 \" }, { send = \"QUIT\\r\\n\\r\\n\" }, { expect = \"^221\" }]";
    let report = probe(&at(smtp().await, dialogue)).await;
    assert_up(&report);
    assert_eq!(report.outcome.facts().map(|f| f.findings.len()), Some(2));
    let wrong = "probe.tcp.dialogue = [{ expect = \"^220 \" }, { send = \"QUIT\\r\\n\\r\\n\" }, { expect = \"^250\" }]";
    assert_eq!(cause(&probe(&at(smtp().await, wrong)).await), Cause::ExpectMismatch);
}

#[tokio::test]
async fn a_banner_that_never_comes_or_never_ends_is_down() {
    let silent = tcp(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let expect = "timeout = \"200ms\"\nprobe.tcp.dialogue = [{ expect = \"ready\" }]";
    assert_eq!(cause(&probe(&at(silent, expect)).await), Cause::ExpectTimeout);
    let endless = tcp(|mut stream| async move { while stream.write_all(&[0xff; 1024]).await.is_ok() {} }).await;
    assert_eq!(cause(&probe(&at(endless, "probe.tcp.dialogue = [{ expect = \"ready\" }]")).await), Cause::ExpectMismatch);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_fails() {
    // localhost has two addresses here; the server listens on one of them only.
    let port = tcp(|stream| async move { drop(stream) }).await;
    let report = probe(&format!("probe.tcp.address = \"localhost:{port}\"")).await;
    assert_up(&report);
    let report = probe(&format!("addresses = \"ipv4\"\nprobe.tcp.address = \"localhost:{port}\"")).await;
    assert_up(&report);
    assert_eq!(report.outcome.facts().map(|f| f.attempts.len()), Some(1));
}

#[tokio::test]
async fn a_source_address_that_is_not_ours_is_our_own_fault() {
    let port = tcp(|stream| async move { drop(stream) }).await;
    let report = probe(&at(port, "source_address = \"192.0.2.77\"")).await;
    assert_eq!(reason(&report), probity::words::Reason::LocalResource);
    assert_up(&probe(&at(port, "source_address = \"127.0.0.9\"")).await);
}
