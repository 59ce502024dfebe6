//! Futures that run side by side, of which the first to end counts.

use std::pin::Pin;
use std::task::Poll;

/// Futures that run side by side.
pub type Open<'f, T> = Vec<Pin<Box<dyn Future<Output = T> + 'f>>>;

/// The first of several futures that is ready, and its place.
pub async fn first_of<T>(open: &mut [Pin<Box<dyn Future<Output = T> + '_>>]) -> (usize, T) {
    std::future::poll_fn(|cx| {
        for (at, future) in open.iter_mut().enumerate() {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready((at, value));
            }
        }
        Poll::Pending
    })
    .await
}
