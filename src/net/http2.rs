//! One HTTP/2 exchange over a connected stream (RFC 9113), through the h2 crate, with the same
//! limits and phases as HTTP/1.1.

mod watched;

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture};
use tokio::io::{AsyncRead, AsyncWrite};

use self::watched::{Watch, Watched};
use super::body_memory::Incoming;
use super::http_response::{Ask, Response};
use super::probe_error::ProbeError;
use super::trace::{Stage, Trace};
use crate::config::plan::probe::{HEADER_COUNT_LIMIT, INTERIM_LIMIT};
use crate::words::{Cause, Reason};

/// How an exchange ends without an answer.
pub enum Failure {
    ProbeError(ProbeError),
    /// The peer asks for HTTP/1.1 (RFC 9113 section 7, HTTP_1_1_REQUIRED).
    Http11Required(ProbeError),
}

impl From<ProbeError> for Failure {
    fn from(err: ProbeError) -> Self {
        Failure::ProbeError(err)
    }
}

/// Sends one request and reads the response to its end.
pub async fn exchange<S>(
    stream: S,
    trace: &Trace,
    request: http::Request<()>,
    content: Option<Bytes>,
    ask: Ask<'_>,
) -> Result<Response, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    trace.enter(Stage::Request);
    let watch = Rc::new(Watch::default());
    let failed = |error: &h2::Error| failure_of(error, &watch, ask.limits.header);
    let (send, connection) = Builder::new()
        .enable_push(false)
        .max_header_list_size(u32::try_from(ask.limits.header).unwrap_or(u32::MAX))
        .initial_window_size(65_535)
        .initial_connection_window_size(1 << 20)
        .handshake::<_, Bytes>(Watched::new(stream, watch.clone()))
        .await
        .map_err(|e| failed(&e))?;
    let run = async {
        let mut send = send.ready().await.map_err(|e| failed(&e))?;
        let (mut response, mut body) = send
            .send_request(request, content.is_none())
            .map_err(|e| failed(&e))?;
        if let Some(content) = content {
            body.send_data(content, true).map_err(|e| failed(&e))?;
        }
        trace.enter(Stage::FirstByte);
        let response = final_head(&mut response).await?.map_err(|e| failed(&e))?;
        trace.enter(Stage::Transfer);
        read(trace, response, ask, &failed).await
    };
    tokio::pin!(run);
    tokio::pin!(connection);
    let result = tokio::select! {
        biased;
        result = &mut run => result,
        // What was received before the end may still complete the response.
        ended = &mut connection => match (run.await, ended) {
            (Err(_), Err(error)) => Err(failed(&error)),
            (result, _) => result,
        },
    };
    if result.is_ok() {
        trace.enter(Stage::Idle);
    }
    result
}

/// The head that is not interim.
async fn final_head(
    response: &mut ResponseFuture,
) -> Result<Result<http::Response<h2::RecvStream>, h2::Error>, ProbeError> {
    let mut interim = 0;
    poll_fn(|cx| {
        loop {
            match response.poll_informational(cx) {
                Poll::Ready(Some(Ok(_))) if interim == INTERIM_LIMIT => {
                    return Poll::Ready(Err(ProbeError::down(
                        Cause::ProtocolError,
                        format!("the peer sent more than {INTERIM_LIMIT} interim responses"),
                    )));
                }
                Poll::Ready(Some(Ok(_))) => interim += 1,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Ok(Err(error))),
                Poll::Ready(None) | Poll::Pending => {
                    return Pin::new(&mut *response).poll(cx).map(Ok);
                }
            }
        }
    })
    .await
}

async fn read(
    trace: &Trace,
    response: http::Response<h2::RecvStream>,
    ask: Ask<'_>,
    failed: &impl Fn(&h2::Error) -> Failure,
) -> Result<Response, Failure> {
    let (head, mut stream) = response.into_parts();
    let mut out = Response {
        status: head.status.as_u16(),
        version: "2",
        headers: head
            .headers
            .iter()
            .map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec()))
            .collect(),
        ..Response::default()
    };
    if out.headers.len() > HEADER_COUNT_LIMIT {
        return Err(ProbeError::down(
            Cause::HeaderLimit,
            format!("the response has more than {HEADER_COUNT_LIMIT} headers"),
        )
        .into());
    }
    {
        let mut facts = trace.facts.borrow_mut();
        facts.http_status = Some(out.status);
        facts.http_version = Some("2");
    }
    let most = ask.keep.most(out.status);
    let mut incoming = Incoming::default();
    loop {
        incoming
            .more(ask.memory, trace, (out.body.len(), ask.limits.body))
            .await;
        let data = loop {
            tokio::select! {
                biased;
                data = stream.data() => break data,
                () = incoming.turns_slow() => {}
            }
        };
        let Some(data) = data else { break };
        let data = data.map_err(|e| failed(&e))?;
        let _ = stream.flow_control().release_capacity(data.len());
        let room = usize::try_from(ask.limits.body - out.body_bytes).unwrap_or(usize::MAX);
        let taken = &data[..data.len().min(room)];
        out.body_bytes += taken.len() as u64;
        trace.facts.borrow_mut().body_bytes = Some(out.body_bytes);
        out.body
            .extend_from_slice(&taken[..taken.len().min(most - out.body.len().min(most))]);
        if taken.len() < data.len() {
            out.is_cut = true;
            break;
        }
    }
    out.room = incoming.held(out.body.len());
    if out.is_cut {
        return Ok(out);
    }
    stream.trailers().await.map_err(|e| failed(&e))?;
    trace.facts.borrow_mut().body_bytes = Some(out.body_bytes);
    Ok(out)
}

/// What the peer did, in its terms.
fn failure_of(error: &h2::Error, watch: &Watch, header_limit: u64) -> Failure {
    if let Some(flood) = watch.flood() {
        return flood.into();
    }
    if let Some(name) = watch.other_protocol() {
        return ProbeError::down(
            Cause::ProtocolError,
            format!("the peer speaks {name}, not HTTP/2"),
        )
        .into();
    }
    if let Some(io) = error.get_io() {
        // The library's own word for an end of the stream.
        if io.kind() == ErrorKind::BrokenPipe && io.raw_os_error().is_none() {
            return ProbeError::down(
                Cause::HttpTruncated,
                "the peer closed the HTTP/2 connection before the end of its answer",
            )
            .into();
        }
        return super::probe_error::stream_error(io, Cause::HttpTruncated).into();
    }
    let reason = error.reason();
    let code = reason.map_or_else(|| error.to_string(), |reason| format!("{reason:?}"));
    let down = |what: String| ProbeError::down(Cause::ProtocolError, what);
    match (error.is_remote(), error.is_go_away(), error.is_reset()) {
        // Without reason and frame it is of the library's user: a call that it refuses, whatever
        // the peer does.
        (false, false, false) if reason.is_none() => ProbeError::unmeasured(
            Reason::Internal,
            format!("the HTTP/2 library refuses the request: {code}"),
        )
        .into(),
        (true, ..) if reason == Some(h2::Reason::HTTP_1_1_REQUIRED) => {
            Failure::Http11Required(down(format!("the peer requires HTTP/1.1 ({code})")))
        }
        (true, true, _) => down(format!(
            "the peer ended the HTTP/2 connection: GOAWAY {code}{}",
            said(error)
        ))
        .into(),
        (true, false, true) => down(format!(
            "the peer reset the HTTP/2 stream of the request: RST_STREAM {code}"
        ))
        .into(),
        // How the library answers a head beyond its limit.
        (false, false, true) if reason == Some(h2::Reason::REFUSED_STREAM) => ProbeError::down(
            Cause::HeaderLimit,
            format!(
                "the response head is longer than {header_limit} bytes, the limit of limits.header"
            ),
        )
        .into(),
        _ => down(format!("the peer broke the rules of HTTP/2: {code}")).into(),
    }
}

/// The debug data of a GOAWAY, which the library shows as a part of its text only.
fn said(error: &h2::Error) -> String {
    let text = error.to_string();
    let data = text
        .split_once("b\"")
        .map(|(_, data)| data.trim_end_matches([')', '"']))
        .unwrap_or_default();
    let data = match data.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &data[..end]),
        None => data.to_owned(),
    };
    if data.is_empty() {
        String::new()
    } else {
        format!(", \"{data}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::probe_error::ProbeError;

    #[tokio::test]
    async fn a_request_that_the_library_refuses_is_no_fault_of_the_peer() {
        let (ours, _theirs) = tokio::io::duplex(1 << 16);
        let (send, _connection) = h2::client::handshake(ours).await.expect("a client");
        let mut send = send.ready().await.expect("ready");
        let request = http::Request::builder()
            .uri("http://h/")
            .version(http::Version::HTTP_2)
            .header("keep-alive", "x")
            .body(())
            .expect("a request");
        let error = send
            .send_request(request, true)
            .expect_err("such a header is refused");
        let Failure::ProbeError(err) = failure_of(&error, &Watch::default(), 1000) else {
            panic!("HTTP/1.1 is not asked for")
        };
        assert!(
            matches!(
                &err,
                ProbeError::Unmeasured(Reason::Internal, why) if why.contains("malformed headers")
            ),
            "{err:?}"
        );
    }
}
