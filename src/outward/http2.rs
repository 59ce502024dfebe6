//! One HTTP/2 exchange over a connected stream (RFC 9113), through the h2 crate, with the same limits and phases as
//! HTTP/1.1.

use bytes::Bytes;
use h2::client::Builder;
use tokio::io::{AsyncRead, AsyncWrite};

use super::halt::Halt;
use super::http1::{Keep, Response};
use super::trace::{Stage, Trace};
use crate::config::plan_probe::Limits;
use crate::words::Cause;

/// Sends one request and reads the response to its end.
pub async fn exchange<S>(stream: S, trace: &Trace, request: http::Request<()>, content: Option<Bytes>, keep: Keep, limits: &Limits) -> Result<Response, Halt>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    trace.enter(Stage::Request);
    let (send, connection) = Builder::new()
        .enable_push(false)
        .max_header_list_size(u32::try_from(limits.header).unwrap_or(u32::MAX))
        .initial_window_size(65_535)
        .initial_connection_window_size(1 << 20)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|e| halt_of(&e))?;
    let run = async {
        let mut send = send.ready().await.map_err(|e| halt_of(&e))?;
        let (response, mut body) = send.send_request(request, content.is_none()).map_err(|e| halt_of(&e))?;
        if let Some(content) = content {
            body.send_data(content, true).map_err(|e| halt_of(&e))?;
        }
        trace.enter(Stage::FirstByte);
        let response = response.await.map_err(|e| halt_of(&e))?;
        trace.enter(Stage::Transfer);
        read(trace, response, keep, limits).await
    };
    tokio::pin!(run);
    tokio::pin!(connection);
    let result = tokio::select! {
        biased;
        result = &mut run => result,
        ended = &mut connection => match ended {
            Err(error) => Err(halt_of(&error)),
            // What was received before a clean end may still complete the response.
            Ok(()) => run.await,
        },
    };
    if result.is_ok() {
        trace.enter(Stage::Idle);
    }
    result
}

async fn read(trace: &Trace, response: http::Response<h2::RecvStream>, keep: Keep, limits: &Limits) -> Result<Response, Halt> {
    let (head, mut stream) = response.into_parts();
    let mut out = Response {
        status: head.status.as_u16(),
        version: "2",
        headers: head.headers.iter().map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec())).collect(),
        ..Response::default()
    };
    {
        let mut facts = trace.facts.borrow_mut();
        facts.http_status = Some(out.status);
        facts.http_version = Some("2");
    }
    while let Some(data) = stream.data().await {
        let data = data.map_err(|e| halt_of(&e))?;
        let _ = stream.flow_control().release_capacity(data.len());
        out.body_bytes += data.len() as u64;
        trace.facts.borrow_mut().body_bytes = Some(out.body_bytes);
        if out.body_bytes > limits.body {
            return Err(Halt::down(Cause::BodyLimit, format!("the body is longer than {} bytes", limits.body)));
        }
        if keep == Keep::Body {
            out.body.extend_from_slice(&data);
        }
    }
    stream.trailers().await.map_err(|e| halt_of(&e))?;
    trace.facts.borrow_mut().body_bytes = Some(out.body_bytes);
    Ok(out)
}

fn halt_of(error: &h2::Error) -> Halt {
    if let Some(io) = error.get_io() {
        return super::halt::stream_error(io, Cause::HttpTruncated);
    }
    Halt::down(Cause::ProtocolError, format!("http/2: {error}"))
}
